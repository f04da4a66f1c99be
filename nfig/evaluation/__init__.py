"""Measures a checkpoint against held-out images: figures as JSON, and a page to look at."""
