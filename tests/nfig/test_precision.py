"""Laws of a model in 16 bits, laid out to draw: the same function, and every row is alone."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from nfig.generation import generate
from nfig.model import NFIGModel
from nfig.precision import to_precision
from nfig.tokenizer.layers import FoldedUpsample, Upsample, to_memory_format
from nfig.transformer.block import attend
from tests.nfig.test_generation import CONFIG, VARIED

BF16 = torch.bfloat16


@torch.no_grad()
def test_attention_in_16_bits_is_the_attention_of_float64() -> None:
    torch.manual_seed(0)
    queries, keys = (F.normalize(torch.randn(2, 3, n, 8), dim=-1).to(BF16) for n in (5, 9))
    values = torch.randn(2, 3, 9, 8).to(BF16)
    exact = attend(4.0 * queries.double(), keys.double(), values.double(), mask_lt=None)
    attended = attend(4.0 * queries, keys, values, mask_lt=None)
    torch.testing.assert_close(attended.double(), exact, atol=0.02, rtol=0.02)
    assert torch.equal(attend(4.0 * queries[1:], keys[1:], values[1:], mask_lt=None), attended[1:])


@torch.no_grad()
def test_upsampling_folded_is_upsampling() -> None:
    torch.manual_seed(0)
    upsample = Upsample(6, 5).double()
    x = to_memory_format(torch.randn(2, 6, 4, 7, dtype=torch.float64))
    doubled = FoldedUpsample(upsample)(x)
    torch.testing.assert_close(doubled, upsample(x), atol=1e-12, rtol=1e-12)
    assert doubled.is_contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def test_a_row_is_drawn_alike_alone_and_beside_others_in_16_bits() -> None:
    torch.manual_seed(0)
    model = NFIGModel(CONFIG).eval()
    for parameter in model.transformer.parameters():
        parameter.add_(torch.randn_like(parameter), alpha=0.3)
    to_precision(model, "bf16")
    together = list(generate(model, VARIED))
    images = model.tokenizer.decode_canvas(together[-1].canvas_BCHW)
    for row, generation in enumerate(VARIED):
        alone = list(generate(model, [generation]))
        for step, same in zip(alone, together, strict=False):
            assert torch.equal(step.tokens_Bl[0], same.tokens_Bl[row])
        image = model.tokenizer.decode_canvas(alone[-1].canvas_BCHW)
        assert torch.equal(image[0], images[row])


@torch.no_grad()
def test_a_decoder_in_16_bits_shows_the_same_picture() -> None:
    torch.manual_seed(0)
    model = NFIGModel(CONFIG).eval()
    canvas = torch.randn(1, 5, 4, 4)
    expected = model.tokenizer.decode_canvas(canvas)
    to_precision(model, "bf16")
    shown = model.tokenizer.decode_canvas(canvas)
    torch.testing.assert_close(shown, expected, atol=0.03, rtol=0.03)
