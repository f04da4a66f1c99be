"""Trains tokenizers and transformers: runs that resume exactly and keep records."""

from __future__ import annotations
