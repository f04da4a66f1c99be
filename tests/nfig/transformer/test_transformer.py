"""Laws of the transformer: who may see whom, and that the cache changes nothing."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor, nn

from nfig.config import PRESETS, TokenizerConfig, TransformerConfig, preset_named
from nfig.precision import dtype_named, pack
from nfig.transformer import NextFrequencyTransformer
from nfig.transformer.block import DropPath

TOKENIZER = TokenizerConfig(
    image_size=16,
    grid_sides=(1, 2, 3, 4),
    codebook_size=48,
    latent_channels=5,
    channel_multipliers=(1, 1, 1),
    patch_side=1,
)
CONFIG = TransformerConfig(depth=3, width=24, num_heads=3, num_classes=7)
BANDS = range(TOKENIZER.num_bands)
NUM_ROWS = 3


def stirred(dtype: torch.dtype = torch.float64) -> NextFrequencyTransformer:
    """A transformer in eval mode where everything matters: a new one is close to the identity."""
    torch.manual_seed(0)
    transformer = NextFrequencyTransformer(CONFIG, TOKENIZER).eval().to(dtype)
    for parameter in transformer.parameters():
        parameter.data.add_(torch.randn_like(parameter), alpha=0.3)
    return transformer


def some_inputs(dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    shape = (NUM_ROWS, TOKENIZER.num_tokens - 1, TOKENIZER.latent_channels)
    return torch.randn(shape, generator=generator, dtype=dtype)


LABELS = torch.tensor([2, 5, CONFIG.num_classes])


def num_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("family", ["nfig", "var"])
@pytest.mark.parametrize(
    ("depth", "millions", "tolerance"),
    [(16, 310, 0.01), (20, 600, 0.01), (24, 1000, 0.04), (30, 2000, 0.01)],
)
def test_presets_have_the_published_parameter_counts(
    family: str, depth: int, millions: int, tolerance: float
) -> None:
    """VAR's authors write 1.0B for d24 and mean a little more: its blocks alone are 1.02B."""
    preset = PRESETS[f"{family}-d{depth}"]
    with torch.device("meta"):
        transformer = NextFrequencyTransformer(preset.transformer, preset.tokenizer)
    assert num_parameters(transformer) == pytest.approx(millions * 1e6, rel=tolerance)
    blocks = 18 * preset.transformer.width**2 * depth
    assert num_parameters(transformer.blocks) == pytest.approx(blocks, rel=0.01)


@pytest.mark.parametrize("changed", list(BANDS)[1:])
def test_a_band_reaches_itself_and_later_bands_and_no_earlier_one(changed: int) -> None:
    transformer, inputs = stirred(), some_inputs()
    columns = transformer.band_columns[changed]
    other = inputs.clone()
    # One token of the band; band 0 has no inputs, hence the shift.
    other[:, columns.start - 1] += 1.0
    difference = (transformer(LABELS, other) - transformer(LABELS, inputs)).abs().amax((0, 2))
    assert torch.all(difference[: columns.start] == 0)
    assert torch.all(difference[columns.start :] > 0)


def test_the_class_reaches_every_token() -> None:
    transformer, inputs = stirred(), some_inputs()
    difference = transformer(LABELS, inputs) - transformer(LABELS.flip(0), inputs)
    assert torch.all(difference[[0, 2]].abs().amax(-1) > 0)
    assert torch.all(difference[1] == 0)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 2e-4)])
def test_bands_with_a_cache_equal_one_masked_pass(dtype: torch.dtype, tolerance: float) -> None:
    transformer, inputs = stirred(dtype), some_inputs(dtype)
    expected = transformer(LABELS, inputs)
    condition, cache = transformer.condition(LABELS), transformer.new_cache(NUM_ROWS)
    with torch.no_grad():
        for band in BANDS:
            columns = transformer.band_columns[band]
            given = inputs[:, columns.start - 1 : columns.stop - 1] if band else None
            logits = transformer.logits(transformer.band_states(band, given, condition, cache))
            torch.testing.assert_close(logits, expected[:, columns], atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("bands", list(BANDS))
def test_the_first_bands_alone_have_the_logits_they_have_among_all(bands: int) -> None:
    transformer, inputs = stirred(), some_inputs()
    end = transformer.band_columns[bands].stop
    alone = transformer(LABELS, inputs[:, : end - 1])
    torch.testing.assert_close(alone, transformer(LABELS, inputs)[:, :end])


def test_half_precision_gives_logits_in_float32() -> None:
    logits = stirred(torch.bfloat16)(LABELS, some_inputs(torch.float32))
    assert logits.dtype == torch.float32
    assert torch.isfinite(logits).all()


def test_autocast_gives_logits_in_float32() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = stirred(torch.float32)(LABELS, some_inputs(torch.float32))
    assert logits.dtype == torch.float32


def test_a_new_transformer_knows_nothing() -> None:
    torch.manual_seed(0)
    transformer = NextFrequencyTransformer(CONFIG, TOKENIZER)
    probabilities = transformer(LABELS, some_inputs(torch.float32)).softmax(-1)
    uniform = torch.full_like(probabilities, 1 / TOKENIZER.codebook_size)
    torch.testing.assert_close(probabilities, uniform, rtol=0.05, atol=0)


def test_every_parameter_gets_a_gradient() -> None:
    transformer, inputs = stirred().train(), some_inputs()
    transformer(LABELS, inputs).square().mean().backward()
    for name, parameter in transformer.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_class_dropout_acts_in_training_only() -> None:
    config = TransformerConfig(depth=1, width=8, num_heads=1, num_classes=4, class_dropout=1.0)
    transformer = NextFrequencyTransformer(config, TOKENIZER)
    inputs = some_inputs(torch.float32)
    classes = torch.tensor([0, 1, 2])
    no_class = torch.full_like(classes, transformer.no_class)
    assert torch.equal(transformer.train()(classes, inputs), transformer(no_class, inputs))
    assert not torch.equal(transformer.eval()(classes, inputs), transformer(no_class, inputs))


def test_drop_path_leaves_whole_rows_out_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    x = torch.ones(4000, 2, 3)
    dropped = DropPath(0.25).train()(x)
    rows = dropped[:, 0, 0]
    assert torch.equal(dropped, rows.view(-1, 1, 1).expand_as(x))
    assert sorted(rows.unique().tolist()) == pytest.approx([0, 4 / 3])
    assert rows.mean().item() == pytest.approx(1, abs=0.05)
    assert DropPath(0.25).eval()(x) is x


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
@torch.no_grad()
def test_a_row_is_bit_for_bit_the_same_alone_and_in_a_batch(dtype: str) -> None:
    """At the published width, where a CPU picks from the most kernels."""
    torch.manual_seed(0)
    published = preset_named("nfig-d16")
    tokenizer = dataclasses.replace(
        published.tokenizer, image_size=208, grid_sides=(1, 2, 5, 8, 13)
    )
    config = dataclasses.replace(published.transformer, depth=1)
    model = NextFrequencyTransformer(config, tokenizer).eval()
    for parameter in model.parameters():
        parameter.add_(torch.randn_like(parameter), alpha=0.02)
    model.to(dtype_named(dtype)).head.float()
    model.apply(pack)
    labels_B = torch.arange(10)
    inputs_Bl = [torch.randn(10, side * side, 32) for side in tokenizer.grid_sides]
    together = _states(model, labels_B, inputs_Bl)
    for rows in (slice(0, 1), slice(3, 5), slice(2, 9)):
        alone = _states(model, labels_B[rows], [inputs[rows] for inputs in inputs_Bl])
        for one, all_of_them in zip(alone, together, strict=True):
            assert torch.equal(one, all_of_them[rows])


def _states(
    model: NextFrequencyTransformer, labels_B: Tensor, inputs_Bl: list[Tensor]
) -> list[Tensor]:
    condition, cache = model.condition(labels_B), model.new_cache(len(labels_B))
    return [
        model.logits(model.band_states(band, inputs if band else None, condition, cache))
        for band, inputs in enumerate(inputs_Bl)
    ]
