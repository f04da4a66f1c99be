"""Who may ask, and how much: keys, tenants and limits, the same behind every front door."""
