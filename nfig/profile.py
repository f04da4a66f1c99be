"""How a model draws: `exact`, as it was trained, or `fast`, for a little of its quality.

| `fast`                            | what it saves                                               |
|-----------------------------------|-------------------------------------------------------------|
| guidance in the first bands alone | the second half of the rows where most of the tokens are    |
| 8 bits in blocks and decoder      | half the time of their products, on a CPU with VNNI         |
| bfloat16 elsewhere                | as nfig.precision                                           |

What it costs was measured on the model that ships, see docs/experiments.md. A profile is part of a
model's config and so of its digest: all rows of a batch have the same.
"""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

from torch import nn

from nfig.config import Profile
from nfig.heap import give_back_memory
from nfig.int8 import Int8Conv2d, Int8Linear, has_int8
from nfig.model import NFIGModel
from nfig.precision import to_precision
from nfig.tokenizer.decoder import Decoder
from nfig.tokenizer.layers import ResBlock
from nfig.transformer.block import Block

FAST_DTYPE = "bf16"


PROFILES: tuple[Profile, ...] = get_args(Profile)


def profile_named(name: str | None) -> Profile | None:
    """None for None. Raises ValueError on a name that is none."""
    for profile in PROFILES:
        if profile == name:
            return profile
    if name is None:
        return None
    raise ValueError(f"profile must be one of {', '.join(PROFILES)}: {name!r}")


def to_profile(model: NFIGModel, profile: Profile | None = None) -> NFIGModel:
    """Changes the model in place, where it will draw, and returns it; `fast` only draws then.

    Without a profile it is the one of the model's config. The weights must still be in float32.
    """
    if profile is not None:
        model.config = replace(model.config, profile=profile)
    if model.config.profile == "exact":
        return model
    if has_int8(model.device):
        model.apply(round_layers)
    return to_precision(model, FAST_DTYPE)


def round_layers(module: nn.Module) -> None:
    """One module's layers to 8 bits, in place: for `nn.Module.apply`, children first."""
    if isinstance(module, Block):
        _round_block(module)
        give_back_memory()
    elif isinstance(module, Decoder):
        for block in module.modules():
            if isinstance(block, ResBlock):
                _round_res_block(block)
        give_back_memory()


def _round_block(block: Block) -> None:
    attention = block.attention
    attention.qkv = Int8Linear(_linear(attention.qkv), bias_O=attention.bias)
    layers = ((attention, "project"), (block, "expand"), (block, "contract"), (block, "modulation"))
    for owner, name in layers:
        setattr(owner, name, Int8Linear(_linear(getattr(owner, name))))


def _round_res_block(block: ResBlock) -> None:
    for name in ("conv1", "conv2"):
        setattr(block, name, Int8Conv2d(getattr(block, name)))


def _linear(module: nn.Module) -> nn.Linear:
    assert isinstance(module, nn.Linear), "a model is given a profile once"
    return module
