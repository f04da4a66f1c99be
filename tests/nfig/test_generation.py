"""Laws of the generation loop: fast equals slow, and every row is alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from nfig import generation as generation_module
from nfig.config import ModelConfig, Quantization, TokenizerConfig, TransformerConfig
from nfig.generation import (
    NO_TOKEN,
    BandStep,
    Generation,
    generate,
    generate_slow,
    guidance_at,
)
from nfig.graphs import Graphs
from nfig.model import NFIGModel
from nfig.sampling import gumbel_noise, noise_key

CONFIG = ModelConfig(
    name="tiny",
    tokenizer=TokenizerConfig(
        image_size=16,
        grid_sides=(1, 2, 3, 4),
        codebook_size=48,
        latent_channels=5,
        channels=8,
        channel_multipliers=(1, 1, 1),
        patch_side=1,
    ),
    transformer=TransformerConfig(depth=3, width=24, num_heads=3, num_classes=7),
)
NUM_BANDS = CONFIG.tokenizer.num_bands
PLAIN = Generation(class_label=3, seed=11, guidance_scale=2.0, top_k=0, top_p=1.0, temperature=1.0)
VARIED = (
    PLAIN,
    replace(PLAIN, seed=2**63 - 1, guidance_scale=0.0),
    replace(PLAIN, class_label=0, top_k=5, image_index=1),
    replace(PLAIN, class_label=6, top_p=0.7, temperature=1.3, guidance_scale=4.5),
    replace(PLAIN, temperature=0.0, bands=2),
)


Kind = tuple[Quantization, torch.dtype]
IN_FLOAT64: tuple[Kind, ...] = (("frequency", torch.float64), ("area", torch.float64))
IN_FLOAT32: tuple[Kind, ...] = (("frequency", torch.float32), ("area", torch.float32))


def kind_name(kind: Kind) -> str:
    return f"{kind[0]}-f{torch.finfo(kind[1]).bits}"


@pytest.fixture(scope="module", params=IN_FLOAT64 + IN_FLOAT32, ids=kind_name)
def model(request: pytest.FixtureRequest) -> NFIGModel:
    """Stirred, because in a new transformer hardly anything matters."""
    quantization, dtype = request.param
    tokenizer = replace(CONFIG.tokenizer, quantization=quantization)
    torch.manual_seed(0)
    model = NFIGModel(replace(CONFIG, tokenizer=tokenizer)).eval()
    for parameter in model.transformer.parameters():
        parameter.data.add_(torch.randn_like(parameter), alpha=0.3)
    return model.to(dtype)


def tokens_of(steps: Iterable[BandStep]) -> list[Tensor]:
    return [step.tokens_Bl for step in steps]


def guidance_of(band: int, *generations: Generation) -> Tensor:
    return torch.tensor(
        [
            guidance_at(band, num_bands=NUM_BANDS, guidance_scale=row.guidance_scale)
            for row in generations
        ]
    )


def draw(model: NFIGModel, *generations: Generation) -> list[Tensor]:
    return tokens_of(generate(model, generations))


@pytest.mark.parametrize("model", IN_FLOAT64, ids=kind_name, indirect=True)
def test_the_fast_path_draws_the_tokens_of_the_slow_one(model: NFIGModel) -> None:
    fast, slow = draw(model, *VARIED), tokens_of(generate_slow(model, VARIED))
    assert len(fast) == NUM_BANDS
    for fast_Bl, slow_Bl in zip(fast, slow, strict=True):
        assert torch.equal(fast_Bl, slow_Bl)


def test_the_fast_path_has_the_logits_of_the_slow_one(model: NFIGModel) -> None:
    """Within 2e-4 in float32, 1e-11 in float64, of logits in the tens."""
    tolerance = 1e-11 if model.transformer.position_LD.dtype == torch.float64 else 2e-4
    turn = Graphs(None).begin()
    fast = generation_module._cached_predictor(model, VARIED, turn)
    slow = generation_module._recomputing_predictor(model, VARIED, turn)
    inputs_BlC: Tensor | None = None
    with torch.no_grad():
        for step in generate(model, [replace(row, bands=None) for row in VARIED]):
            guidance_B = guidance_of(step.band, *VARIED)
            fast_BlV = fast(step.band, inputs_BlC, guidance_B)
            slow_BlV = slow(step.band, inputs_BlC, guidance_B)
            torch.testing.assert_close(fast_BlV, slow_BlV, atol=tolerance, rtol=tolerance)
            if step.band + 1 < NUM_BANDS:
                inputs_BlC = model.tokenizer.next_input(step.band + 1, step.canvas_BCHW)


def test_a_row_is_drawn_alike_alone_and_beside_others(model: NFIGModel) -> None:
    together = draw(model, *VARIED)
    for row, generation in enumerate(VARIED):
        for band, alone_1l in enumerate(draw(model, generation)):
            assert torch.equal(alone_1l[0], together[band][row]), (row, band)


def test_a_row_is_drawn_alike_at_any_place_and_batch_size(model: NFIGModel) -> None:
    canvases = []
    for batch_size in (1, 2, 3, 8):
        others = [replace(PLAIN, seed=seed) for seed in range(batch_size - 1)]
        *_, last = generate(model, [*others, PLAIN])
        canvases.append(last.canvas_BCHW[-1])
    for canvas in canvases[1:]:
        assert torch.equal(canvas, canvases[0])


def test_the_same_generation_gives_the_same_tokens_whatever_torch_drew_before(
    model: NFIGModel,
) -> None:
    first = torch.cat(draw(model, PLAIN), 1)
    torch.manual_seed(99)
    assert torch.equal(torch.cat(draw(model, PLAIN), 1), first)


@pytest.mark.parametrize("changed", [{"seed": 12}, {"image_index": 1}, {"class_label": 2}])
def test_seed_image_and_class_matter(model: NFIGModel, changed: dict[str, Any]) -> None:
    other = replace(PLAIN, **changed)
    assert not torch.equal(torch.cat(draw(model, PLAIN), 1), torch.cat(draw(model, other), 1))


def test_without_guidance_the_logits_are_the_conditional_ones(model: NFIGModel) -> None:
    unguided, guided = replace(PLAIN, guidance_scale=0.0), PLAIN
    steps = tokens_of(generate(model, [unguided]))
    mixed = tokens_of(generate(model, [unguided, guided]))
    labels = torch.tensor([PLAIN.class_label])
    inputs_BMC = torch.cat(
        [
            model.tokenizer.next_input(step.band + 1, step.canvas_BCHW)
            for step in generate(model, [replace(unguided, bands=NUM_BANDS - 1)])
        ],
        dim=1,
    )
    with torch.no_grad():
        logits_1LV = model.transformer(labels, inputs_BMC)
    columns = model.transformer.band_columns[-1]
    key = noise_key(seed=PLAIN.seed, image_index=0, band=NUM_BANDS - 1)
    noise = gumbel_noise([key], num_tokens=16, codebook_size=48, device=torch.device("cpu"))
    assert torch.equal((logits_1LV[:, columns] + noise).argmax(-1), steps[-1])
    for alone, beside in zip(steps, mixed, strict=True):
        assert torch.equal(alone[0], beside[0])


def test_guidance_rises_from_none_to_all() -> None:
    ramp = [guidance_at(band, num_bands=5, guidance_scale=2.0) for band in range(5)]
    assert ramp == [0, 0.5, 1.0, 1.5, 2.0]
    assert guidance_at(0, num_bands=1, guidance_scale=2.0) == 0


def test_guidance_leads_away_from_no_class(model: NFIGModel) -> None:
    predict = generation_module._recomputing_predictor(model, [PLAIN], Graphs(None).begin())
    labels = torch.tensor([PLAIN.class_label])
    shape = (1, CONFIG.tokenizer.num_tokens - 1, CONFIG.tokenizer.latent_channels)
    inputs_BMC = torch.randn(shape, dtype=model.transformer.position_LD.dtype)
    with torch.no_grad():
        with_class = model.transformer(labels, inputs_BMC)
        without_class = model.transformer(torch.tensor([7]), inputs_BMC)
        for band, columns in enumerate(model.transformer.band_columns):
            inputs_BlC = inputs_BMC[:, columns.start - 1 : columns.stop - 1] if band else None
            push = 2.0 * band / (NUM_BANDS - 1) * (with_class - without_class)
            expected_BlV = (with_class + push)[:, columns]
            guided_BlV = predict(band, inputs_BlC, guidance_of(band, PLAIN))
            torch.testing.assert_close(guided_BlV, expected_BlV, atol=2e-4, rtol=2e-4)


def test_fewer_bands_are_a_prefix(model: NFIGModel) -> None:
    whole = list(generate(model, [PLAIN]))
    part = list(generate(model, [replace(PLAIN, bands=2)]))
    assert [step.band for step in part] == [0, 1]
    for step, same in zip(part, whole, strict=False):
        assert torch.equal(step.tokens_Bl, same.tokens_Bl)
        assert torch.equal(step.canvas_BCHW, same.canvas_BCHW)


def test_kept_bands_are_not_drawn_and_the_rest_is_drawn_to_fit(model: NFIGModel) -> None:
    own = draw(model, PLAIN)
    other = replace(PLAIN, seed=5)
    kept = tuple(tuple(tokens_Bl[0].tolist()) for tokens_Bl in own[:2])
    varied = draw(model, replace(other, kept=kept), other)
    for band in range(2):
        assert torch.equal(varied[band][:1], own[band])
    # Nothing of what a kept band replaces is left: an image's own bands change nothing of it.
    again = draw(model, replace(PLAIN, kept=kept))
    assert all(torch.equal(one, same) for one, same in zip(again, own, strict=True))
    assert not torch.equal(varied[-1][0], own[-1][0])
    assert torch.equal(torch.cat(draw(model, other), 1)[0], torch.cat(varied, 1)[1])


def test_a_row_that_stopped_keeps_its_canvas_and_gets_no_tokens(model: NFIGModel) -> None:
    steps = list(generate(model, [replace(PLAIN, bands=2), PLAIN]))
    assert len(steps) == NUM_BANDS
    for step in steps[2:]:
        assert torch.all(step.tokens_Bl[0] == NO_TOKEN)
        assert torch.equal(step.canvas_BCHW[0], steps[1].canvas_BCHW[0])
        assert torch.all(step.tokens_Bl[1] != NO_TOKEN)


def test_a_cancelled_row_stops_at_the_next_band_and_disturbs_nobody(model: NFIGModel) -> None:
    alive = {0, 1}
    expected = draw(model, PLAIN)
    for step in generate(model, [replace(PLAIN, seed=5), PLAIN], is_alive=lambda row: row in alive):
        assert (step.tokens_Bl[0, 0] == NO_TOKEN) == (step.band >= 2)
        assert torch.equal(step.tokens_Bl[1:], expected[step.band])
        if step.band == 1:
            alive.remove(0)


def test_the_loop_ends_when_no_row_draws(model: NFIGModel) -> None:
    asked: list[int] = []

    def is_alive(row: int) -> bool:
        asked.append(row)
        return len(asked) <= 2

    assert len(list(generate(model, [PLAIN], is_alive=is_alive))) == 2
    assert list(generate(model, [PLAIN], is_alive=lambda row: False)) == []


def test_the_canvas_is_the_sum_of_the_tokens_contributions(model: NFIGModel) -> None:
    canvas: Tensor | None = None
    with torch.no_grad():
        for step in generate(model, [PLAIN]):
            contribution = model.tokenizer.embed_band(step.band, step.tokens_Bl)
            canvas = contribution if canvas is None else canvas + contribution
            torch.testing.assert_close(step.canvas_BCHW, canvas)
            assert step.seconds > 0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("class_label", -1),
        ("class_label", 7),
        ("class_label", True),
        ("class_label", 1.0),
        ("seed", -1),
        ("seed", 2**63),
        ("image_index", -1),
        ("guidance_scale", -0.1),
        ("guidance_scale", float("nan")),
        ("guidance_scale", float("inf")),
        ("top_k", -1),
        ("top_k", 49),
        ("top_p", 0),
        ("top_p", 1.01),
        ("temperature", -1),
        ("temperature", "1"),
        ("bands", 0),
        ("bands", 5),
        ("kept", ((0,),) * 5),
        ("kept", ((48,),)),
        ("kept", ((-1,),)),
        ("kept", ((0,), (0, 1, 2))),
    ],
)
def test_a_bad_field_is_named_before_anything_is_drawn(
    model: NFIGModel, field: str, value: Any
) -> None:
    with pytest.raises(ValueError, match=field):
        generate(model, [replace(PLAIN, **{field: value})])


def test_an_empty_batch_is_refused(model: NFIGModel) -> None:
    with pytest.raises(ValueError, match="generations"):
        generate(model, [])
