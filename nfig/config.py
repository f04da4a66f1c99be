"""What a model is made of: frozen dataclasses, checked when built, saved as JSON with the weights.

Sizes that follow from others are properties. The presets at 256 px carry the published sizes of
NFIG and VAR (width 64 d, d heads); the small one is what ships trained in `checkpoints/`.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any, Literal, Self

Basis = Literal["dct", "fft"]


@dataclass(frozen=True, kw_only=True)
class TokenizerConfig:
    """The FR-VAE: an image becomes one grid of tokens per band."""

    image_size: int = 64
    """Pixels per edge of the RGB image."""
    grid_sides: tuple[int, ...] = (1, 2, 3, 5, 8)
    """Tokens per edge of each band's grid; the last one is the latent's own side."""
    basis: Basis = "dct"
    """How the latent is split in frequency: separable DCT-II, or the paper's radial FFT masks."""
    codebook_size: int = 2048
    """Entries of the one codebook that all bands share (V)."""
    latent_channels: int = 16
    """Channels of the latent and of every code (C)."""
    channels: int = 48
    """Channels of the first convolution; later ones are multiples of it."""
    channel_multipliers: tuple[int, ...] = (1, 2, 3)
    """One entry per resolution, from fine to coarse; each but the last halves the side."""
    patch_side: int = 2
    """Pixels per edge that are folded into channels before the first convolution."""
    num_res_blocks: int = 1
    """Residual blocks per resolution."""
    attention: bool = True
    """Self-attention in the decoder, at the latent's resolution."""

    def __post_init__(self) -> None:
        if list(self.grid_sides) != sorted(set(self.grid_sides)) or self.grid_sides[0] < 1:
            raise ValueError(f"grid_sides must rise strictly from 1 or more: {self.grid_sides}")
        if self.image_size != self.latent_side * self.downsampling:
            raise ValueError(
                f"image_size {self.image_size} is not latent side {self.latent_side} "
                f"x downsampling {self.downsampling} (patch_side, channel_multipliers)"
            )

    @property
    def latent_side(self) -> int:
        return self.grid_sides[-1]

    @property
    def downsampling(self) -> int:
        return int(self.patch_side * 2 ** (len(self.channel_multipliers) - 1))

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each resolution, from fine to coarse."""
        return tuple(self.channels * multiplier for multiplier in self.channel_multipliers)

    @property
    def num_bands(self) -> int:
        return len(self.grid_sides)

    @property
    def num_tokens(self) -> int:
        """Tokens of a whole image (L)."""
        return sum(side * side for side in self.grid_sides)


@dataclass(frozen=True, kw_only=True)
class TransformerConfig:
    """The next-frequency transformer: predicts all tokens of one band from the bands before it."""

    depth: int = 6
    """Blocks."""
    width: int = 192
    """Channels of the residual stream (D)."""
    num_heads: int = 6
    """Attention heads (N)."""
    num_classes: int = 16
    """Class labels; one more embedding stands for "no class" in guidance."""
    class_dropout: float = 0.1
    """Share of training labels replaced by "no class"."""

    def __post_init__(self) -> None:
        if self.width % self.num_heads:
            raise ValueError(f"width {self.width} is not a multiple of num_heads {self.num_heads}")

    @property
    def head_width(self) -> int:
        return self.width // self.num_heads


@dataclass(frozen=True, kw_only=True)
class SamplingDefaults:
    """What a request gets that does not say otherwise."""

    guidance_scale: float = 1.5
    top_k: int = 0
    """0 keeps all codes."""
    top_p: float = 1.0
    temperature: float = 1.0


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Tokenizer, transformer, and what their numbers mean to a person."""

    name: str
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    transformer: TransformerConfig = field(default_factory=TransformerConfig)
    sampling: SamplingDefaults = field(default_factory=SamplingDefaults)
    class_names: tuple[str, ...] = ()
    """One name per class label, or none."""

    def __post_init__(self) -> None:
        if self.class_names and len(self.class_names) != self.transformer.num_classes:
            raise ValueError(
                f"class_names has {len(self.class_names)} names "
                f"for {self.transformer.num_classes} classes"
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        values: dict[str, Any] = json.loads(self.to_json())
        return values

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Raises ValueError on unknown keys, so that nothing is ignored silently."""
        return cls.from_dict(json.loads(text))

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """As `from_json`."""
        values = dict(values)
        parts = {
            "tokenizer": TokenizerConfig,
            "transformer": TransformerConfig,
            "sampling": SamplingDefaults,
        }
        for key, part in parts.items():
            if key in values:
                values[key] = _build(part, values[key])
        config: Self = _build(cls, values)
        return config


def _build(kind: Any, values: dict[str, Any]) -> Any:
    known = {f.name for f in dataclasses.fields(kind)}
    if unknown := set(values) - known:
        raise ValueError(f"{kind.__name__} has no field {sorted(unknown)}")
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


IMAGENET_256 = TokenizerConfig(
    image_size=256,
    grid_sides=(1, 2, 3, 4, 5, 6, 8, 10, 13, 16),
    codebook_size=4096,
    latent_channels=32,
    channels=160,
    channel_multipliers=(1, 1, 2, 2, 4),
    patch_side=1,
    num_res_blocks=2,
    attention=True,
)


def _published(depth: int) -> ModelConfig:
    transformer = TransformerConfig(
        depth=depth, width=64 * depth, num_heads=depth, num_classes=1000
    )
    sampling = SamplingDefaults(guidance_scale=4.5, top_k=990)
    return ModelConfig(
        name=f"nfig-d{depth}", tokenizer=IMAGENET_256, transformer=transformer, sampling=sampling
    )


PRESETS: dict[str, ModelConfig] = {
    "avatars-64": ModelConfig(name="avatars-64"),
    **{f"nfig-d{depth}": _published(depth) for depth in (16, 20, 24, 30)},
}
