"""What travels between a client and the models in `model_repository/`: every tensor, by name.

`config.pbtxt` says the same to Triton, and a test holds them equal. Sizes that depend on the
checkpoint are -1, so that one repository serves every checkpoint. Types are Triton's names.

Shape legend: C latent channels, H W latent grid, l tokens of one band, L tokens of all bands. The
batch dimension comes first in all of them and is left out here, as in `config.pbtxt`.
"""

from __future__ import annotations

from dataclasses import dataclass

BATCH_SIZES = (1, 2, 3, 4, 6, 8, 10, 12, 16)
"""Batches of the transformer are padded to one of these: on a CPU a row of padding costs as much as
any other, and of powers of two alone a third of all rows was padding."""


BASELINES = ("as_published", "same_code")
"""What speed is compared with: a VAR a quarter deeper, as its authors run it and in our code."""


@dataclass(frozen=True, kw_only=True)
class TensorSpec:
    """One tensor of a model's interface."""

    name: str
    dtype: str
    dims: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class ModelContract:
    """One model of the repository."""

    name: str
    decoupled: bool
    """True if a request gets several responses."""
    max_batch_size: int
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


def _scalar(name: str, dtype: str) -> TensorSpec:
    return TensorSpec(name=name, dtype=dtype, dims=(1,))


_CANVAS_CHW = TensorSpec(name="canvas", dtype="TYPE_FP32", dims=(-1, -1, -1))
_DIGEST = _scalar("digest", "TYPE_STRING")
"""Of the checkpoint that answered, so that a client notices another one than its model card's."""

TRANSFORMER = ModelContract(
    name="nfig_transformer",
    decoupled=True,
    max_batch_size=max(BATCH_SIZES),
    # The fields of `nfig.generation.Generation`. A request is one row; FP64 carries the numbers
    # of a request exactly, so that every engine draws the same tokens from them.
    inputs=(
        _scalar("class_label", "TYPE_INT64"),
        _scalar("seed", "TYPE_INT64"),
        _scalar("image_index", "TYPE_INT64"),
        _scalar("guidance_scale", "TYPE_FP64"),
        _scalar("top_k", "TYPE_INT64"),
        _scalar("top_p", "TYPE_FP64"),
        _scalar("temperature", "TYPE_FP64"),
        _scalar("bands", "TYPE_INT64"),
        # (L,): the tokens of the first bands where they are given, then -1.
        TensorSpec(name="kept", dtype="TYPE_INT32", dims=(-1,)),
    ),
    # One response per band; the last one is also the final one.
    outputs=(
        _scalar("band", "TYPE_INT32"),
        TensorSpec(name="tokens", dtype="TYPE_INT32", dims=(-1,)),  # (l,)
        _CANVAS_CHW,
        _scalar("seconds", "TYPE_FP64"),
        _scalar("batch_size", "TYPE_INT32"),
        _DIGEST,
        # Of each of BASELINES for this band and batch size; NaN where it was not measured here.
        TensorSpec(name="baseline_seconds", dtype="TYPE_FP64", dims=(len(BASELINES),)),
    ),
)

NO_PREVIEW = -1

DECODER = ModelContract(
    name="nfig_decoder",
    decoupled=False,
    max_batch_size=max(BATCH_SIZES),
    # The band that the canvas is a preview of, or NO_PREVIEW. Images and previews share one model,
    # since only within one queue do images overtake.
    inputs=(_CANVAS_CHW, _scalar("preview_of", "TYPE_INT32")),
    # Pixels are (side, side, RGB).
    outputs=(TensorSpec(name="pixels", dtype="TYPE_UINT8", dims=(-1, -1, 3)), _DIGEST),
)

ENCODER = ModelContract(
    name="nfig_encoder",
    decoupled=False,
    max_batch_size=max(BATCH_SIZES),
    # Pixels are (side, side, RGB).
    inputs=(TensorSpec(name="pixels", dtype="TYPE_UINT8", dims=(-1, -1, 3)),),
    outputs=(TensorSpec(name="tokens", dtype="TYPE_INT32", dims=(-1,)), _DIGEST),  # (L,)
)

CONTRACTS = (TRANSFORMER, DECODER, ENCODER)
