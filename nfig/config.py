"""What a model is made of: frozen dataclasses, checked when built, saved as JSON with the weights.

Sizes that follow from others are properties. The presets at 256 px carry the published sizes of
NFIG and VAR (width 64 d, d heads); of the small ones, `avatars-64` ships trained in `checkpoints/`,
and `avatars-64-var` is its twin that is quantised as VAR does.
"""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass, field
from typing import Any, Literal, Self, get_args

Quantization = Literal["frequency", "area"]
Basis = Literal["dct", "fft"]
BandEdges = Literal["nyquist", "literal"]
EncoderKind = Literal["cnn", "vit"]
Profile = Literal["exact", "fast"]
CHOICES = {
    "quantization": Quantization,
    "basis": Basis,
    "band_edges": BandEdges,
    "encoder": EncoderKind,
}


@dataclass(frozen=True, kw_only=True)
class TokenizerConfig:
    """The FR-VAE: an image becomes one grid of tokens per band."""

    image_size: int = 64
    """Pixels per edge of the RGB image."""
    grid_sides: tuple[int, ...] = (1, 2, 3, 5, 8)
    """Tokens per edge of each band's grid; the last one is the latent's own side."""
    quantization: Quantization = "frequency"
    """What a band codes: what is left of the latent up to the band's cut-off (NFIG, equation 4), or
    of the whole latent, area-averaged, and brought back by bicubic resampling and phi (VAR)."""
    basis: Basis = "dct"
    """How the latent is split in frequency: separable DCT-II, or the paper's radial FFT masks."""
    band_edges: BandEdges = "nyquist"
    """Cut-offs that match the bands' grid sides, or the paper's formula taken literally: radii that
    grow with the bands' shares of all tokens. The latter is for basis "fft" only: a DCT band has
    a whole number of coefficients per axis, which the formula does not give."""
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
    palette_size: int = 0
    """Colours of its own that the decoder picks for each image and mixes every pixel from, so that
    flat areas come out flat; 0 for a decoder that computes every pixel's colour."""
    encoder: EncoderKind = "cnn"
    """Convolutions that mirror the decoder, or a vision transformer that DINOv2's weights fit. The
    sizes of convolutions above are then the decoder's alone."""
    vit_width: int = 384
    """Channels of the encoder "vit", a multiple of 64: 384 is DINOv2's ViT-S, 768 its ViT-B."""
    vit_depth: int = 12
    """Blocks of the encoder "vit"."""
    preview_channels: int = 0
    """Width of the light decoder of previews; 0 for none, and the decoder draws previews too."""

    def __post_init__(self) -> None:
        for name, choice in CHOICES.items():
            if getattr(self, name) not in get_args(choice):
                raise ValueError(
                    f"{name} must be one of {get_args(choice)}: {getattr(self, name)!r}"
                )
        if self.band_edges == "literal" and self.basis != "fft":
            raise ValueError(f"band_edges 'literal' needs basis 'fft', not {self.basis!r}")
        if self.quantization == "area" and self.basis != "dct":
            raise ValueError(f"basis {self.basis!r} is for quantization 'frequency' only")
        if list(self.grid_sides) != sorted(set(self.grid_sides)) or self.grid_sides[0] < 1:
            raise ValueError(f"grid_sides must rise strictly from 1 or more: {self.grid_sides}")
        if self.image_size != self.latent_side * self.downsampling:
            raise ValueError(
                f"image_size {self.image_size} is not latent side {self.latent_side} "
                f"x downsampling {self.downsampling} (patch_side, channel_multipliers)"
            )
        self._check_networks()

    def _check_networks(self) -> None:
        if self.palette_size < 0 or self.palette_size == 1:
            raise ValueError(f"palette_size must be 0, or 2 or more: {self.palette_size}")
        if self.encoder == "cnn" and (self.vit_width, self.vit_depth) != (384, 12):
            raise ValueError("vit_width and vit_depth are for encoder 'vit' only")
        if self.vit_width % 64 or min(self.vit_width, self.vit_depth) < 1:
            raise ValueError(
                f"vit_width must be a multiple of 64 and vit_depth 1 or more: "
                f"{self.vit_width}, {self.vit_depth}"
            )
        if self.preview_channels == 0:
            return
        if self.preview_channels < 4 or self.preview_channels % 4:
            raise ValueError(f"preview_channels must be a multiple of 4: {self.preview_channels}")
        if self.num_bands < 2 or self.downsampling % 4:
            raise ValueError("preview_channels needs two bands and a downsampling by 4, 8, ..")

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


FAST_GUIDED_SHARE = 0.6
"""Of the bands, the first; the others have most of the tokens and need guidance least."""

LATER_OPTIONS = {
    "quantization": "frequency",
    "band_edges": "nyquist",
    "palette_size": 0,
    "encoder": "cnn",
    "vit_width": 384,
    "vit_depth": 12,
    "preview_channels": 0,
}
"""Tokenizer options younger than the first checkpoints, and their defaults, at which they are not
written: a digest covers the config, and that of an old checkpoint must not change."""


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
    profile: Profile = "exact"
    """How it draws: as trained, or faster for a little quality (nfig.profile)."""

    def __post_init__(self) -> None:
        if self.profile not in get_args(Profile):
            raise ValueError(f"profile must be one of {get_args(Profile)}: {self.profile!r}")
        if self.class_names and len(self.class_names) != self.transformer.num_classes:
            raise ValueError(
                f"class_names has {len(self.class_names)} names "
                f"for {self.transformer.num_classes} classes"
            )

    @property
    def guided_bands(self) -> int:
        """Bands that guidance applies to, the first ones."""
        num_bands = self.tokenizer.num_bands
        return num_bands if self.profile == "exact" else math.ceil(FAST_GUIDED_SHARE * num_bands)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        values: dict[str, Any] = json.loads(self.to_json())
        return values

    def to_json(self) -> str:
        values = dataclasses.asdict(self)
        for name, default in LATER_OPTIONS.items():
            if values["tokenizer"][name] == default:
                del values["tokenizer"][name]
        if values["profile"] == "exact":
            del values["profile"]  # as the later options: a digest must not change
        return json.dumps(values, indent=2) + "\n"

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
    preview_channels=256,
)


PUBLISHED_DEPTHS = (16, 20, 24, 30)


def _published(depth: int) -> TransformerConfig:
    return TransformerConfig(depth=depth, width=64 * depth, num_heads=depth, num_classes=1000)


def _nfig(depth: int) -> ModelConfig:
    return ModelConfig(
        name=f"nfig-d{depth}",
        tokenizer=IMAGENET_256,
        transformer=_published(depth),
        sampling=SamplingDefaults(guidance_scale=4.5, top_k=990),
    )


def _var(depth: int) -> ModelConfig:
    """Sampled as VAR's repository evaluates; its paper says guidance 2."""
    return ModelConfig(
        name=f"var-d{depth}",
        tokenizer=dataclasses.replace(IMAGENET_256, quantization="area"),
        transformer=_published(depth),
        sampling=SamplingDefaults(guidance_scale=1.5, top_k=900, top_p=0.96),
    )


AVATARS_64 = ModelConfig(name="avatars-64", sampling=SamplingDefaults(temperature=0.8))
_BUILT = (
    AVATARS_64,
    dataclasses.replace(
        AVATARS_64,
        name="avatars-64-var",
        tokenizer=dataclasses.replace(AVATARS_64.tokenizer, quantization="area"),
    ),
    *(_nfig(depth) for depth in PUBLISHED_DEPTHS),
    *(_var(depth) for depth in PUBLISHED_DEPTHS),
)
PRESETS: dict[str, ModelConfig] = {preset.name: preset for preset in _BUILT}


def preset_named(name: str) -> ModelConfig:
    """Raises ValueError that lists the names there are."""
    if name not in PRESETS:
        raise ValueError(f"preset must be one of {', '.join(PRESETS)}: {name!r}")
    return PRESETS[name]
