"""Laws of the baseline: it is the same model as ours, only run as its authors run it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from nfig.config import ModelConfig, SamplingDefaults, TokenizerConfig, TransformerConfig
from nfig.generation import Generation, generate
from nfig.model import NFIGModel
from nfig.sampling import keep_top_k, keep_top_p
from nfig.speed.published_var import PublishedVAR, filtered

CONFIG = ModelConfig(
    name="tiny",
    tokenizer=TokenizerConfig(
        image_size=16,
        grid_sides=(1, 2, 3, 4),
        quantization="area",
        codebook_size=48,
        latent_channels=5,
        channels=8,
        channel_multipliers=(1, 2),
        patch_side=2,
    ),
    transformer=TransformerConfig(depth=3, width=24, num_heads=3, num_classes=7),
    sampling=SamplingDefaults(guidance_scale=2.0),
)
LABELS = (3, 0)


def stirred_pair() -> tuple[NFIGModel, PublishedVAR]:
    """Ours and the baseline with the same weights, in float64; everything in them matters."""
    torch.manual_seed(0)
    ours, published = NFIGModel(CONFIG).eval(), PublishedVAR(CONFIG)
    for parameter in ours.transformer.parameters():
        parameter.data.add_(torch.randn_like(parameter), alpha=0.3)
    published.transformer.load_state_dict(ours.transformer.state_dict())
    published.codebook.weight.copy_(ours.tokenizer.quantizer.codebook_VC)
    assert ours.tokenizer.quantizer.phi is not None
    phi = ours.tokenizer.quantizer.phi.convolutions
    published.phi.load_state_dict(phi.state_dict())
    return ours.double(), published.double()


def test_the_baseline_draws_what_our_model_draws() -> None:
    """With the same weights: every token alike, the canvas within 1e-9 (float64)."""
    ours, published = stirred_pair()
    rows = [
        Generation(
            class_label=label, seed=0, guidance_scale=2.0, top_k=0, top_p=1.0, temperature=0.0
        )
        for label in LABELS
    ]
    steps = published.draw(
        torch.tensor(LABELS), sampling=CONFIG.sampling, sample=lambda logits: logits.argmax(-1)
    )
    for step, own in zip(steps, generate(ours, rows), strict=True):
        assert torch.equal(step.tokens_Bl, own.tokens_Bl)
        torch.testing.assert_close(step.canvas_BCHW, own.canvas_BCHW, atol=1e-9, rtol=0)
        assert step.seconds > 0


def test_the_baseline_has_our_logits() -> None:
    """Unguided, of a whole image at once, within 1e-9 (float64) of logits in the tens."""
    ours, published = stirred_pair()
    seen: list[Tensor] = []

    def sample(logits_BlV: Tensor) -> Tensor:
        seen.append(logits_BlV.clone())
        return logits_BlV.argmax(-1)

    unguided = replace(CONFIG.sampling, guidance_scale=0.0)
    inputs = []
    for band, step in enumerate(
        published.draw(torch.tensor(LABELS), sampling=unguided, sample=sample), start=1
    ):
        if band < CONFIG.tokenizer.num_bands:
            inputs.append(ours.tokenizer.next_input(band, step.canvas_BCHW))
    with torch.no_grad():
        expected_BLV = ours.transformer(torch.tensor(LABELS), torch.cat(inputs, 1))
    torch.testing.assert_close(torch.cat(seen, 1), expected_BLV, atol=1e-9, rtol=0)


@pytest.mark.parametrize(("top_k", "top_p"), [(0, 1.0), (5, 1.0), (0, 0.6), (20, 0.9)])
def test_the_baseline_keeps_the_codes_that_we_keep(top_k: int, top_p: float) -> None:
    logits_BlV = torch.randn(2, 9, 48, generator=torch.Generator().manual_seed(1)) * 2
    kept_BlV = keep_top_p(keep_top_k(logits_BlV, [top_k] * 2), [top_p] * 2)
    sampling = SamplingDefaults(top_k=top_k, top_p=top_p)
    assert torch.equal(filtered(logits_BlV.clone(), sampling), kept_BlV)


def test_the_baseline_decodes_to_the_image_size() -> None:
    _, published = stirred_pair()
    pixels = published.float().decode(torch.randn(2, 5, 4, 4))
    assert pixels.shape == (2, 3, 16, 16)
    assert 0 <= pixels.min() <= pixels.max() <= 1
