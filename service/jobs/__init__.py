"""How work travels: the queue that gateway and workers share, in Redis or in memory."""
