"""NFIG: next-frequency image generation, a PyTorch library that knows nothing of services."""
