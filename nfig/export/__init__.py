"""From a checkpoint to what Triton serves: the contract, the export, and the model behind both."""

from __future__ import annotations

from nfig.export.exporter import export_model

__all__ = ["export_model"]
