"""The data set `avatars-16`: cartoon heads drawn by public packages, the same ones for everyone."""

from __future__ import annotations

from nfig.data.avatars.builder import build

__all__ = ["build"]
