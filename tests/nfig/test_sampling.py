"""Laws of sampling: what top-k and top-p keep, and that noise belongs to its row."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nfig.sampling import (
    TokenChoice,
    draw_sorted,
    draw_stacked,
    draw_tokens,
    gumbel_noise,
    keep_top_k,
    keep_top_p,
    noise_key,
    stack_choices,
)

CPU = torch.device("cpu")
KEY_OF_7_0_3 = 5593779183935378626
NOISE_OF_7_0_3 = [0.6168926954269409, 1.3465617895126343, 0.44079846143722534, 1.126723289489746]
CODES = 12
rows_of_logits = st.lists(
    st.lists(st.floats(-20, 20, width=32), min_size=CODES, max_size=CODES), min_size=1, max_size=4
)
any_choice = st.builds(
    TokenChoice,
    top_k=st.integers(0, CODES),
    top_p=st.floats(0.01, 1),
    temperature=st.floats(0, 3),
)


def as_logits(rows: list[list[float]]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64).unsqueeze(1)


def kept(logits: Tensor) -> Tensor:
    return logits > -torch.inf


@given(rows_of_logits, st.data())
@settings(deadline=None)
def test_top_k_keeps_exactly_what_reaches_the_kth_largest(
    rows: list[list[float]], data: st.DataObject
) -> None:
    logits = as_logits(rows)
    top_k = [data.draw(st.integers(0, CODES)) for _ in rows]
    filtered = keep_top_k(logits, top_k)
    for values, result, k in zip(logits[:, 0], filtered[:, 0], top_k, strict=True):
        smallest = sorted(values.tolist())[-k] if k else -math.inf
        assert torch.equal(kept(result), values >= smallest)
        assert torch.equal(result[kept(result)], values[kept(result)])


@given(rows_of_logits, st.data())
@settings(deadline=None)
def test_top_p_keeps_the_fewest_likeliest_codes_that_reach_p(
    rows: list[list[float]], data: st.DataObject
) -> None:
    logits = as_logits(rows)
    top_p = [data.draw(st.floats(0.01, 1)) for _ in rows]
    filtered = keep_top_p(logits, top_p)
    for values, result, p in zip(logits[:, 0], filtered[:, 0], top_p, strict=True):
        chosen, probabilities = kept(result), values.softmax(-1)
        assert chosen[values.argmax()]
        assert probabilities[chosen].sum() >= p - 1e-9
        least = values[chosen].min()
        assert torch.all(chosen[values >= least])
        # Without the least likely ones p would not be reached.
        if p < 1:
            assert probabilities[values > least].sum() < p + 1e-9


@pytest.mark.parametrize(
    ("top_p", "count"), [(0.0001, 1), (0.4999, 1), (0.5001, 2), (0.7499, 2), (0.7501, 4)]
)
def test_top_p_of_known_probabilities(top_p: float, count: int) -> None:
    """Of the two codes with an eighth each, one would do, but nothing tells them apart."""
    logits = torch.tensor([[[0.125, 0.5, 0.125, 0.25]]], dtype=torch.float64).log()
    assert kept(keep_top_p(logits, [top_p])).sum() == count


@given(rows_of_logits)
@settings(deadline=None)
def test_filters_at_their_neutral_values_change_nothing(rows: list[list[float]]) -> None:
    logits = as_logits(rows)
    assert torch.equal(keep_top_k(logits, [0] * len(rows)), logits)
    assert torch.equal(keep_top_p(logits, [1.0] * len(rows)), logits)


@given(rows_of_logits, st.data())
@settings(deadline=None)
def test_a_row_is_drawn_alike_alone_and_among_others(
    rows: list[list[float]], data: st.DataObject
) -> None:
    logits = as_logits(rows)
    choices = [data.draw(any_choice) for _ in rows]
    noise = gumbel_noise(list(range(len(rows))), num_tokens=1, codebook_size=CODES, device=CPU)
    together = draw_tokens(logits, noise, choices)
    for row in range(len(rows)):
        part = slice(row, row + 1)
        alone = draw_tokens(logits[part], noise[part], choices[part])
        assert torch.equal(alone, together[part])


@given(rows_of_logits, st.data())
@settings(deadline=None)
def test_one_sort_draws_the_same_tokens(rows: list[list[float]], data: st.DataObject) -> None:
    logits = as_logits(rows)
    choices = [data.draw(any_choice) for _ in rows]
    stacked = stack_choices(choices)
    noise = gumbel_noise(list(range(len(rows))), num_tokens=1, codebook_size=CODES, device=CPU)
    expected = draw_tokens(logits, noise, choices)
    assert torch.equal(draw_sorted(logits, noise, stacked), expected)
    assert torch.equal(draw_stacked(logits, noise, stacked), expected)


@pytest.mark.parametrize("temperature", [0.0, 1e-38])
def test_no_temperature_takes_the_likeliest_code(temperature: float) -> None:
    logits = torch.randn(2, 5, CODES, generator=torch.Generator().manual_seed(0))
    noise = gumbel_noise([1, 2], num_tokens=5, codebook_size=CODES, device=CPU)
    choice = TokenChoice(top_k=0, top_p=1.0, temperature=temperature)
    assert torch.equal(draw_tokens(logits, noise, [choice] * 2), logits.argmax(-1))


def test_tokens_follow_the_softmax_of_the_logits() -> None:
    logits = torch.tensor([0.0, 1.0, 2.0, -1.0])
    draws = 40_000
    noise = gumbel_noise([5], num_tokens=draws, codebook_size=4, device=CPU)
    choice = TokenChoice(top_k=0, top_p=1.0, temperature=2.0)
    tokens = draw_tokens(logits.expand(1, draws, 4), noise, [choice])
    share = tokens[0].bincount(minlength=4) / draws
    torch.testing.assert_close(share, (logits / 2).softmax(-1), atol=0.01, rtol=0)


def test_noise_is_standard_gumbel() -> None:
    noise = gumbel_noise(
        [noise_key(seed=1, image_index=0, band=2)], num_tokens=400, codebook_size=500, device=CPU
    ).double()
    assert noise.mean().item() == pytest.approx(0.5772, abs=0.01)
    assert noise.var().item() == pytest.approx(math.pi**2 / 6, abs=0.03)
    below_zero = (noise < 0).double().mean().item()
    assert below_zero == pytest.approx(math.exp(-1), abs=0.005)
    assert torch.isfinite(noise).all()


def test_noise_of_a_row_is_the_same_at_any_place_in_any_batch() -> None:
    def noise(keys: list[int]) -> Tensor:
        return gumbel_noise(keys, num_tokens=3, codebook_size=5, device=CPU)

    together = noise([11, -7, 2**63 - 1])
    assert torch.equal(together[1:2], noise([-7]))
    assert not torch.equal(together[0], together[1])


def test_noise_does_not_change_between_versions() -> None:
    """Seeds that people have kept must go on giving their images."""
    assert noise_key(seed=7, image_index=0, band=3) == KEY_OF_7_0_3
    noise = gumbel_noise([KEY_OF_7_0_3], num_tokens=1, codebook_size=4, device=CPU)
    torch.testing.assert_close(noise.flatten(), torch.tensor(NOISE_OF_7_0_3))


def test_each_of_seed_image_and_band_changes_the_key() -> None:
    fields = [(seed, image, band) for seed in (0, 1, 11) for image in (0, 1, 11) for band in (0, 1)]
    keys = {noise_key(seed=seed, image_index=i, band=band) for seed, i, band in fields}
    assert len(keys) == len(fields)


@given(st.integers(0, 2**64 - 1))
def test_noise_numbers_are_those_of_splitmix64(key: int) -> None:
    """Against the plain definition with Python's unbounded integers."""
    signed = key - 2**64 if key >= 2**63 else key
    noise = gumbel_noise([signed], num_tokens=1, codebook_size=3, device=CPU).flatten().tolist()
    for position, value in enumerate(noise, start=1):
        z = (key + position * 0x9E3779B97F4A7C15) % 2**64
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) % 2**64
        uniform = (((z ^ (z >> 31)) >> 41) + 0.5) / 2**23
        assert value == pytest.approx(-math.log(-math.log(uniform)), abs=1e-4)
