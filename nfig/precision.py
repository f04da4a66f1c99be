"""A model in 16 bits, where that is faster and changes no token's meaning.

Blocks and decoder go to 16 bits. The codebook and the canvas stay in float32, because bands are
summed there; so does the head, because sampling lives on small differences between logits. On a CPU
weights are also laid out once as its matrix products read them, see docs/decisions/0012; `pack`
does that alone, for a model that stays in float32.
"""

from __future__ import annotations

import torch
from torch import nn

from nfig.heap import give_back_memory
from nfig.model import NFIGModel
from nfig.tokenizer.decoder import Decoder
from nfig.tokenizer.layers import fold_upsampling
from nfig.tokenizer.preview_decoder import PreviewDecoder
from nfig.transformer import NextFrequencyTransformer
from nfig.transformer.block import Block
from nfig.transformer.linear import SteadyLinear

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def dtype_named(name: str) -> torch.dtype:
    """Raises ValueError that names the option."""
    if name not in DTYPES:
        raise ValueError(f"dtype must be one of {', '.join(DTYPES)}: {name!r}")
    return DTYPES[name]


def to_precision(model: NFIGModel, name: str) -> NFIGModel:
    """Changes the model in place, where it will draw, and returns it: from now on it only draws."""
    to_dtype(model, name)
    model.apply(lay_out)
    give_back_memory()
    return model


def lay_out(module: nn.Module) -> None:
    """One module, in place, as it draws fastest: for `nn.Module.apply`, children first."""
    if isinstance(module, Decoder | PreviewDecoder):
        fold_upsampling(module.layers)
    pack(module)


def pack(module: nn.Module) -> None:
    """One module's linear layers, in place, which changes no bit of what they give.

    For `nn.Module.apply` too; the model only draws then.
    """
    if isinstance(module, Block | NextFrequencyTransformer):
        for each in module.modules():
            if isinstance(each, SteadyLinear):
                each.pack()
        give_back_memory()


def to_dtype(model: NFIGModel, name: str) -> None:
    """The dtypes alone, in place. Raises ValueError on an unknown name."""
    dtype = dtype_named(name)
    transformer, tokenizer = model.transformer, model.tokenizer
    transformer.to(dtype)
    transformer.head.to(torch.float32)
    tokenizer.decoder.to(dtype)
    if tokenizer.preview_decoder is not None:
        tokenizer.preview_decoder.layers.to(dtype)
