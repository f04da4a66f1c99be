"""DINOv2's weights for a `ViTEncoder`, from a safetensors file that the user has.

Two layouts are known: that of DINOv2's own repository, and that of `transformers` and the Hub.
ViT-S, B and L with patches of 14 pixels fit; the variants with registers and the giant do not.

Shape legend: D width.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from nfig.config import TokenizerConfig
from nfig.tokenizer.vit import ViTEncoder

UNUSED = {"mask_token", "embeddings.mask_token"}
POSITIONS = "pos_embed"
OF_TRANSFORMERS = (
    (r"embeddings\.cls_token", "cls_token"),
    (r"embeddings\.position_embeddings", POSITIONS),
    (r"embeddings\.patch_embeddings\.projection\.", "patch_embed.proj."),
    (r"encoder\.layer\.(\d+)\.attention\.output\.dense\.", r"blocks.\1.attn.proj."),
    (r"encoder\.layer\.(\d+)\.layer_scale(\d)\.lambda1", r"blocks.\1.ls\2.gamma"),
    (r"encoder\.layer\.(\d+)\.(norm1|norm2|mlp)\.", r"blocks.\1.\2."),
    (r"layernorm\.", "norm."),
)
ATTENTION = "encoder.layer.{}.attention.attention.{}.{}"


@dataclass(frozen=True, kw_only=True, eq=False)
class DinoWeights:
    """By the names of DINOv2's repository."""

    file: Path
    digest: str
    """SHA-256 of the file."""
    weights: dict[str, Tensor]

    @property
    def width(self) -> int:
        return int(self.weights["cls_token"].shape[-1])

    @property
    def depth(self) -> int:
        return len({name.split(".")[1] for name in self.weights if name.startswith("blocks.")})

    def encoder_of(self, config: TokenizerConfig) -> TokenizerConfig:
        """The same tokenizer with an encoder that these weights fit."""
        return dataclasses.replace(
            config, encoder="vit", vit_width=self.width, vit_depth=self.depth
        )

    @torch.no_grad()
    def fill(self, encoder: ViTEncoder) -> None:
        """All but the layer that leads to the latent. Raises ValueError if they do not fit."""
        weights = dict(self.weights)
        weights[POSITIONS] = _positions(self, encoder.grid_side)
        own = encoder.state_dict()
        wanted = {name for name in own if not name.startswith("to_latent.")}
        if missing := sorted(wanted - set(weights)):
            raise ValueError(f"encoder_weights: {self.file} has no {missing[0]}")
        if unknown := sorted(set(weights) - wanted):
            raise ValueError(f"encoder_weights: {self.file} has {unknown[0]}, which has no place")
        for name, value in weights.items():
            if value.shape != own[name].shape:
                raise ValueError(
                    f"encoder_weights: {name} in {self.file} is {tuple(value.shape)}, "
                    f"not {tuple(own[name].shape)}"
                )
        encoder.load_state_dict(weights, strict=False)


def read_dinov2(file: Path) -> DinoWeights:
    """Raises ValueError if the file is not DINOv2's, in either layout."""
    if not file.is_file():
        raise ValueError(f"encoder_weights: no file {file}")
    try:
        stored = load_file(file)
    except SafetensorError as error:
        raise ValueError(f"encoder_weights: {file} is not a safetensors file ({error})") from None
    weights = {name: value.float() for name, value in stored.items() if name not in UNUSED}
    if "embeddings.cls_token" in weights:
        weights = _renamed(weights)
    for name, ndim in (("cls_token", 3), (POSITIONS, 3), ("patch_embed.proj.weight", 4)):
        if name not in weights or weights[name].ndim != ndim:
            raise ValueError(f"encoder_weights: {file} is not DINOv2's, it has no fitting {name}")
    if any("register_tokens" in name for name in weights):
        raise ValueError(f"encoder_weights: {file} has registers, which are not supported")
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    return DinoWeights(file=file, digest=digest, weights=weights)


def _renamed(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """From the names of `transformers`, where queries, keys and values are apart."""
    renamed: dict[str, Tensor] = {}
    for name, value in weights.items():
        query = re.fullmatch(r"encoder\.layer\.(\d+)\.attention\.attention\.query\.(\w+)", name)
        if query:
            parts = [
                ATTENTION.format(query[1], part, query[2]) for part in ("query", "key", "value")
            ]
            if all(part in weights for part in parts):
                joined = torch.cat([weights[part] for part in parts])
                renamed[f"blocks.{query[1]}.attn.qkv.{query[2]}"] = joined
        elif not re.search(r"\.attention\.attention\.(key|value)\.", name):
            renamed[_new_name(name)] = value
    return renamed


def _new_name(name: str) -> str:
    for pattern, replacement in OF_TRANSFORMERS:
        if re.match(pattern, name):
            return re.sub(pattern, replacement, name, count=1)
    return name


def _positions(source: DinoWeights, grid_side: int) -> Tensor:
    """Of the class token as it is, of the patches resampled from DINOv2's grid to the latent's."""
    positions_1PD = source.weights[POSITIONS]
    side = round((positions_1PD.shape[1] - 1) ** 0.5)
    if side**2 + 1 != positions_1PD.shape[1]:
        raise ValueError(f"encoder_weights: {POSITIONS} in {source.file} is of no square grid")
    if side == grid_side:
        return positions_1PD
    grid_1DHW = positions_1PD[:, 1:].mT.unflatten(2, (side, side))
    resampled_1DHW = F.interpolate(
        grid_1DHW, (grid_side, grid_side), mode="bicubic", antialias=True
    )
    return torch.cat([positions_1PD[:, :1], resampled_1DHW.flatten(2).mT], dim=1)
