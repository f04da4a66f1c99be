"""The encoder that DINOv2's weights fit: what it computes, and which files it takes."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from nfig.config import IMAGENET_256, ModelConfig, TokenizerConfig
from nfig.tokenizer import FRVAE
from nfig.tokenizer.dinov2 import read_dinov2
from nfig.tokenizer.vit import ViTEncoder

CONFIG = TokenizerConfig(
    image_size=16,
    grid_sides=(1, 2, 4),
    codebook_size=16,
    latent_channels=5,
    channels=8,
    channel_multipliers=(1, 2),
    patch_side=2,
    encoder="vit",
    vit_width=128,
    vit_depth=2,
)


def weights_of(width: int, depth: int, *, grid_side: int = 37) -> dict[str, Tensor]:
    """Random numbers in the shapes and names of DINOv2's repository."""
    shapes: dict[str, tuple[int, ...]] = {
        "cls_token": (1, 1, width),
        "mask_token": (1, width),
        "pos_embed": (1, 1 + grid_side**2, width),
        "patch_embed.proj.weight": (width, 3, 14, 14),
        "patch_embed.proj.bias": (width,),
        "norm.weight": (width,),
        "norm.bias": (width,),
    }
    block: dict[str, tuple[int, ...]] = {
        **{
            f"{norm}.{part}": (width,) for norm in ("norm1", "norm2") for part in ("weight", "bias")
        },
        "attn.qkv.weight": (3 * width, width),
        "attn.qkv.bias": (3 * width,),
        "attn.proj.weight": (width, width),
        "attn.proj.bias": (width,),
        "ls1.gamma": (width,),
        "ls2.gamma": (width,),
        "mlp.fc1.weight": (4 * width, width),
        "mlp.fc1.bias": (4 * width,),
        "mlp.fc2.weight": (width, 4 * width),
        "mlp.fc2.bias": (width,),
    }
    for index in range(depth):
        shapes |= {f"blocks.{index}.{name}": shape for name, shape in block.items()}
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(shape, generator=generator) / 8 for name, shape in shapes.items()}


def as_transformers_has_them(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    names = {
        "cls_token": "embeddings.cls_token",
        "mask_token": "embeddings.mask_token",
        "pos_embed": "embeddings.position_embeddings",
        "patch_embed.proj": "embeddings.patch_embeddings.projection",
        "blocks.": "encoder.layer.",
        "attn.proj": "attention.output.dense",
        "ls1.gamma": "layer_scale1.lambda1",
        "ls2.gamma": "layer_scale2.lambda1",
    }
    renamed = {}
    for name, value in weights.items():
        if name.startswith("norm."):
            renamed[f"layer{name}"] = value
            continue
        for old, new in names.items():
            name = name.replace(old, new)
        if ".attn.qkv." in name:
            for part, third in zip(("query", "key", "value"), value.chunk(3), strict=True):
                renamed[name.replace("attn.qkv", f"attention.attention.{part}")] = (
                    third.contiguous()
                )
        else:
            renamed[name] = value
    return renamed


def reference(weights: dict[str, Tensor], images: Tensor, *, depth: int) -> Tensor:
    """Features of the patches (B, l, D), written down from the paper of ViT and nothing shared."""
    mean = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
    deviation = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    x = ((images + 1) / 2 - mean) / deviation
    patches = (
        x.unfold(2, 14, 14).unfold(3, 14, 14).permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(1, 2)
    )
    x = patches @ weights["patch_embed.proj.weight"].flatten(1).T + weights["patch_embed.proj.bias"]
    x = torch.cat([weights["cls_token"].repeat(len(x), 1, 1), x], 1) + weights["pos_embed"]
    width = x.shape[-1]

    def norm(x: Tensor, name: str) -> Tensor:
        centred = x - x.mean(-1, keepdim=True)
        scaled = centred / (centred.square().mean(-1, keepdim=True) + 1e-6).sqrt()
        return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def linear(x: Tensor, name: str) -> Tensor:
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    for block in (f"blocks.{index}" for index in range(depth)):
        q, k, v = linear(norm(x, f"{block}.norm1"), f"{block}.attn.qkv").split(width, dim=2)
        heads = []
        for head in range(width // 64):
            of = slice(64 * head, 64 * (head + 1))
            attention = (q[..., of] @ k[..., of].mT / math.sqrt(64)).softmax(-1)
            heads.append(attention @ v[..., of])
        x = x + weights[f"{block}.ls1.gamma"] * linear(torch.cat(heads, -1), f"{block}.attn.proj")
        inner = F.gelu(linear(norm(x, f"{block}.norm2"), f"{block}.mlp.fc1"))
        x = x + weights[f"{block}.ls2.gamma"] * linear(inner, f"{block}.mlp.fc2")
    return norm(x, "norm")[:, 1:]


@pytest.fixture
def images() -> Tensor:
    return torch.rand(2, 3, 56, 56, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.parametrize("layout", ["repository", "transformers"])
@torch.no_grad()
def test_filled_with_weights_it_computes_what_the_reference_does(
    layout: str, images: Tensor, tmp_path: Path
) -> None:
    weights = weights_of(128, 2, grid_side=4)
    stored = weights if layout == "repository" else as_transformers_has_them(weights)
    save_file(stored, tmp_path / "dino.safetensors")
    encoder = ViTEncoder(CONFIG)
    read = read_dinov2(tmp_path / "dino.safetensors")
    assert (read.width, read.depth) == (128, 2)
    read.fill(encoder)
    features = reference(weights, images, depth=2)
    expected = features @ encoder.to_latent.weight.T + encoder.to_latent.bias
    torch.testing.assert_close(
        encoder(images), expected.mT.unflatten(2, (4, 4)), atol=1e-4, rtol=1e-4
    )


def test_dinov2_small_fits_the_published_tokenizer(tmp_path: Path) -> None:
    save_file(weights_of(384, 12), tmp_path / "dino.safetensors")
    read = read_dinov2(tmp_path / "dino.safetensors")
    config = read.encoder_of(IMAGENET_256)
    assert (config.encoder, config.vit_width, config.vit_depth) == ("vit", 384, 12)
    encoder = ViTEncoder(config)
    read.fill(encoder)
    assert encoder.pos_embed.shape == (1, 1 + 16 * 16, 384)
    assert torch.equal(encoder.pos_embed[:, 0], read.weights["pos_embed"][:, 0])
    # Twelve blocks of ViT-S, as published.
    assert 21e6 < sum(each.numel() for each in encoder.parameters()) < 22e6


@torch.no_grad()
def test_a_tokenizer_has_its_latent_grid_whatever_the_images_side() -> None:
    tokenizer = FRVAE(CONFIG).eval()
    tokens = tokenizer.encode(torch.zeros(2, 3, 16, 16))
    assert [tuple(each.shape) for each in tokens] == [(2, 1), (2, 4), (2, 16)]
    assert tokenizer.decode(tokens).shape == (2, 3, 16, 16)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"blocks.1.mlp.fc1.bias": None}, "has no blocks.1.mlp.fc1.bias"),
        (
            {"blocks.0.mlp.w12.weight": torch.zeros(1)},
            "blocks.0.mlp.w12.weight, which has no place",
        ),
        ({"register_tokens": torch.zeros(1, 4, 128)}, "registers"),
        ({"pos_embed": torch.zeros(1, 12, 128)}, "pos_embed in .* is of no square grid"),
        ({"norm.bias": torch.zeros(64)}, r"norm.bias in .* is \(64,\), not \(128,\)"),
        ({"patch_embed.proj.weight": torch.zeros(128, 3, 16, 16)}, r"not \(128, 3, 14, 14\)"),
        ({"cls_token": None}, "no fitting cls_token"),
    ],
)
def test_other_weights_are_refused_by_name(
    change: dict[str, Tensor | None], message: str, tmp_path: Path
) -> None:
    changed = {**weights_of(128, 2), **change}
    file = tmp_path / "dino.safetensors"
    save_file({name: value for name, value in changed.items() if value is not None}, file)
    with pytest.raises(ValueError, match=f"encoder_weights: .*{message}"):
        read_dinov2(file).fill(ViTEncoder(CONFIG))


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no weights")
    for name in ("text", "missing"):
        with pytest.raises(ValueError, match="encoder_weights: "):
            read_dinov2(tmp_path / name)


def test_the_encoder_is_written_only_where_it_is_another_one() -> None:
    plain = dataclasses.replace(CONFIG, encoder="cnn", vit_width=384, vit_depth=12)
    assert "encoder" not in ModelConfig(name="a", tokenizer=plain).to_dict()["tokenizer"]
    other = ModelConfig(name="a", tokenizer=CONFIG)
    assert ModelConfig.from_dict(other.to_dict()) == other
    with pytest.raises(ValueError, match="for encoder 'vit' only"):
        dataclasses.replace(plain, vit_depth=2)
    with pytest.raises(ValueError, match="vit_width must be a multiple of 64"):
        dataclasses.replace(CONFIG, vit_width=100)
