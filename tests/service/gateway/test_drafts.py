"""Laws of completing a request."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain import ModelCard
from service.errors import InvalidRequest, UnknownClass
from service.gateway.drafts import DRAWN_SEEDS, Draft, complete, spread_previews

CARD = ModelCard(
    id="tiny",
    digest="0" * 64,
    image_size=64,
    grid_sides=(1, 2, 3, 4, 8),
    latent_channels=4,
    codebook_size=512,
    class_names=("cat", "dog", "crane", "crane", "0"),
    guidance_scale=1.5,
    top_k=100,
    top_p=0.9,
    temperature=1.0,
)


@given(st.integers(1, 60).flatmap(lambda b: st.tuples(st.just(b), st.integers(0, b - 1))))
def test_previews_are_distinct_rising_and_before_the_last_band(case: tuple[int, int]) -> None:
    bands, count = case
    previews = spread_previews(count, bands)
    assert len(set(previews)) == count
    assert list(previews) == sorted(previews)
    assert all(0 <= band < bands - 1 for band in previews)


@given(st.integers(2, 60).flatmap(lambda b: st.tuples(st.just(b), st.integers(1, b - 1))))
def test_previews_are_spread_as_evenly_as_whole_bands_allow(case: tuple[int, int]) -> None:
    bands, count = case
    previews = spread_previews(count, bands)
    gaps = [after - before for before, after in zip(previews, previews[1:], strict=False)]
    assert not gaps or max(gaps) - min(gaps) <= 1
    ends = previews[0], bands - 2 - previews[-1]
    assert abs(ends[0] - ends[1]) <= 1


def test_all_previews_are_all_bands_but_the_last() -> None:
    assert spread_previews(4, 5) == (0, 1, 2, 3)
    assert spread_previews(3, 10) == (1, 4, 7)


def test_what_is_not_said_comes_from_the_card() -> None:
    request = complete(Draft(class_label=1), CARD, max_images=4)
    assert (request.num_images, request.bands, request.previews) == (1, 5, ())
    assert request.sampling.guidance_scale == CARD.guidance_scale
    assert request.sampling.top_k == CARD.top_k
    assert request.picture_format == "png"


def test_a_seed_that_is_not_said_is_drawn_and_exact_in_javascript() -> None:
    seeds = {complete(Draft(class_label=1), CARD, max_images=4).seed for _ in range(20)}
    assert len(seeds) == 20
    assert all(0 <= seed < DRAWN_SEEDS for seed in seeds)


@pytest.mark.parametrize(("said", "label"), [("cat", 0), (" dog ", 1), ("2", 2), (3, 3), ("0", 4)])
def test_a_class_is_an_id_or_an_exact_name_and_names_win(said: int | str, label: int) -> None:
    assert complete(Draft(class_label=said), CARD, max_images=4).class_label == label


@pytest.mark.parametrize("said", ["", "Cat", "5", 5, -1, "-1", "9" * 5000, 10**400, "١", "cats"])
def test_an_unknown_class_is_refused_by_the_callers_name_for_it(said: int | str) -> None:
    with pytest.raises(UnknownClass) as caught:
        complete(Draft(class_label=said, names={"class_label": "prompt"}), CARD, max_images=4)
    assert caught.value.field == "prompt"
    assert len(caught.value.message) < 300


def test_a_near_miss_is_told_what_was_meant() -> None:
    with pytest.raises(UnknownClass, match="did you mean 'cat'"):
        complete(Draft(class_label="cats"), CARD, max_images=4)


def test_a_name_of_several_classes_is_refused_with_their_ids() -> None:
    with pytest.raises(UnknownClass, match="2, 3"):
        complete(Draft(class_label="crane"), CARD, max_images=4)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("num_images", 0),
        ("num_images", 5),
        ("bands", 0),
        ("bands", 6),
        ("num_previews", -1),
        ("num_previews", 5),
        ("image_size", 128),
        ("seed", -1),
        ("seed", 2**63),
        ("guidance_scale", -0.1),
        ("guidance_scale", float("inf")),
        ("guidance_scale", float("nan")),
        ("top_k", -1),
        ("top_k", 513),
        ("top_p", 0.0),
        ("top_p", 1.1),
        ("temperature", 0.0),
        ("temperature", float("nan")),
        ("picture_quality", 101),
        ("picture_quality", -1),
        ("deadline_ms", 0),
        ("deadline_ms", 86_400_001),
        ("start_within_ms", 0),
        ("start_within_ms", 86_400_001),
    ],
)
def test_what_is_out_of_range_is_refused_by_name(field: str, value: float) -> None:
    draft = Draft(class_label=0, picture_format="jpeg", names={field: "their_name"})
    with pytest.raises(InvalidRequest) as caught:
        complete(dataclasses.replace(draft, **{field: value}), CARD, max_images=4)
    assert caught.value.field == "their_name"
    assert "their_name" in caught.value.message


def test_stopping_early_leaves_fewer_bands_to_preview() -> None:
    with pytest.raises(InvalidRequest):
        complete(Draft(class_label=0, bands=2, num_previews=2), CARD, max_images=4)
    request = complete(Draft(class_label=0, bands=2, num_previews=1), CARD, max_images=4)
    assert request.previews == (0,)


def test_compression_of_a_lossless_picture_is_refused() -> None:
    with pytest.raises(InvalidRequest) as caught:
        complete(Draft(class_label=0, picture_quality=50), CARD, max_images=4)
    assert caught.value.field == "picture_quality"
