"""What the service costs and how quick it is, measured around a fake engine."""
