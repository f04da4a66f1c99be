"""The microservice: front doors, a durable queue, workers, and the engines that draw."""
