"""THE generation loop: a generator that yields after each band, for a batch of independent rows.

Everything that draws (library, command line, engines) drains `generate`. A row is a pure function
of its own `Generation` and the model. `generate_slow` is the same mathematics without cache,
batched guidance or hoisted conditions, kept to check the fast path against.

Shape legend: B batch rows, C latent channels, H W latent grid, l tokens of one band, M tokens of
the bands so far but band 0, V codebook size, K bands.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Self

import torch
from torch import Tensor

from nfig.config import ModelConfig, SamplingDefaults
from nfig.graphs import Graphs, Turn
from nfig.model import NFIGModel
from nfig.sampling import (
    LARGEST_SEED,
    TokenChoice,
    draw_stacked,
    gumbel_noise,
    noise_key,
    stack_choices,
)
from nfig.transformer import NextFrequencyTransformer

LARGEST_GUIDANCE_SCALE = 100.0
LARGEST_TEMPERATURE = 100.0
NO_TOKEN = -1

BandPredictor = Callable[[int, Tensor | None, Tensor], Tensor]
"""Takes a band, its inputs (B, l, C) (none for band 0) and how much to guide each row (B,), gives
guided logits (B, l, V)."""


@dataclass(frozen=True, kw_only=True)
class Generation:
    """One image to draw. Raises ValueError that names the bad field."""

    class_label: int
    seed: int
    """0 to 2^63 - 1."""
    image_index: int = 0
    """Tells apart the images of one seed."""
    guidance_scale: float
    """0 is no guidance, see `guidance_at`."""
    top_k: int
    """0 keeps all codes."""
    top_p: float
    """1 keeps all codes."""
    temperature: float
    """0 always takes the likeliest code."""
    bands: int | None = None
    """Bands to draw, all if None; fewer give a prefix of the same tokens, a blurrier image."""
    kept: tuple[tuple[int, ...], ...] = ()
    """Tokens of the first bands, row-major, where they are given and not to be drawn: those of an
    image to vary, say. The bands after them are drawn to fit."""

    @classmethod
    def with_sampling(
        cls, sampling: SamplingDefaults, *, class_label: int, seed: int, image_index: int = 0
    ) -> Self:
        """As a model draws unless told otherwise."""
        return cls(
            class_label=class_label,
            seed=seed,
            image_index=image_index,
            guidance_scale=sampling.guidance_scale,
            top_k=sampling.top_k,
            top_p=sampling.top_p,
            temperature=sampling.temperature,
        )

    def __post_init__(self) -> None:
        _check_whole("class_label", self.class_label, 0, LARGEST_SEED)
        _check_whole("seed", self.seed, 0, LARGEST_SEED)
        _check_whole("image_index", self.image_index, 0, LARGEST_SEED)
        _check_whole("top_k", self.top_k, 0, LARGEST_SEED)
        if self.bands is not None:
            _check_whole("bands", self.bands, 1, LARGEST_SEED)
        _check_number("guidance_scale", self.guidance_scale, 0, LARGEST_GUIDANCE_SCALE)
        _check_number("temperature", self.temperature, 0, LARGEST_TEMPERATURE)
        _check_number("top_p", self.top_p, 0, 1)
        if self.top_p == 0:
            raise ValueError("top_p must be above 0")

    def check_against(self, config: ModelConfig) -> None:
        """Raises ValueError where this model cannot draw it."""
        _check_whole("class_label", self.class_label, 0, config.transformer.num_classes - 1)
        _check_whole("top_k", self.top_k, 0, config.tokenizer.codebook_size)
        if self.bands is not None:
            _check_whole("bands", self.bands, 1, config.tokenizer.num_bands)
        self._check_kept(config)

    def _check_kept(self, config: ModelConfig) -> None:
        num_bands, largest = config.tokenizer.num_bands, config.tokenizer.codebook_size - 1
        if len(self.kept) > num_bands:
            raise ValueError(f"kept must be of {num_bands} bands at most, not {len(self.kept)}")
        for band, tokens in enumerate(self.kept):
            num_tokens = config.tokenizer.grid_sides[band] ** 2
            if len(tokens) != num_tokens or not all(0 <= token <= largest for token in tokens):
                raise ValueError(f"kept[{band}] must be {num_tokens} tokens from 0 to {largest}")

    @property
    def token_choice(self) -> TokenChoice:
        return TokenChoice(top_k=self.top_k, top_p=self.top_p, temperature=self.temperature)


@dataclass(frozen=True, kw_only=True, eq=False)
class BandStep:
    """One band of every row of the batch."""

    band: int
    tokens_Bl: Tensor
    """int64, row-major over the band's grid; -1 in rows that have stopped."""
    canvas_BCHW: Tensor
    """Sum of the bands drawn so far; that of a row that has stopped no longer changes."""
    seconds: float
    """Time of this step: transformer, sampling and embedding; no pixels."""


NewPredictor = Callable[[NFIGModel, Sequence[Generation], Turn], BandPredictor]


class BandInputs(NamedTuple):
    """What a band is drawn from; all but the canvas comes from the host."""

    canvas_BCHW: Tensor
    key_B: Tensor
    """int64, see `noise_key`."""
    guidance_B: Tensor
    choice_B3: Tensor
    """See `stack_choices`."""
    kept_Bl: Tensor
    """int64, -1 where tokens are to be drawn."""
    drawing_B: Tensor
    """Whether a row still draws."""


def guidance_at(
    band: int, *, num_bands: int, guidance_scale: float, guided_bands: int | None = None
) -> float:
    """t_k = guidance_scale * k / (K - 1), in logits = (1 + t) * conditional - t * unconditional.

    Paper: gives a scale (4.5) but not how it is used; this is VAR's rule, none at the first band
    and most at the last. K is the model's number of bands, also for a row that stops earlier.
    Bands from `guided_bands` on are not guided (nfig.profile).
    """
    if guided_bands is not None and band >= guided_bands:
        return 0.0
    return guidance_scale * band / max(num_bands - 1, 1)


def generate(
    model: NFIGModel,
    generations: Sequence[Generation],
    *,
    is_alive: Callable[[int], bool] | None = None,
    graphs: Graphs | None = None,
) -> Iterator[BandStep]:
    """Draw the rows together, band after band; raises ValueError at once on a bad one.

    Before each band `is_alive(row)` is asked of the rows still drawing; a row that is not, or has
    all its `bands`, stops for good. The loop ends when no row draws. The model must be in eval
    mode. `graphs` are kept by whoever draws more than once with this model.
    """
    return _start(model, generations, _cached_predictor, is_alive, graphs)


def generate_slow(model: NFIGModel, generations: Sequence[Generation]) -> Iterator[BandStep]:
    """The obvious way: for each band two full forward passes over all bands so far."""
    return _start(model, generations, _recomputing_predictor, None, None)


def _start(
    model: NFIGModel,
    generations: Sequence[Generation],
    new_predictor: NewPredictor,
    is_alive: Callable[[int], bool] | None,
    graphs: Graphs | None,
) -> Iterator[BandStep]:
    assert not model.training, "call model.eval() first"
    if not generations:
        raise ValueError("generations must not be empty")
    for generation in generations:
        generation.check_against(model.config)
    is_alive, graphs = is_alive or (lambda row: True), graphs or Graphs(None)
    return _draw(model, generations, new_predictor, is_alive, graphs)


def _draw(
    model: NFIGModel,
    generations: Sequence[Generation],
    new_predictor: NewPredictor,
    is_alive: Callable[[int], bool],
    graphs: Graphs,
) -> Iterator[BandStep]:
    turn = graphs.begin()
    predict: BandPredictor | None = None
    canvas_BCHW = _empty_canvas(model, len(generations))
    drawing = [True] * len(generations)
    for band in range(model.num_bands):
        drawing = [
            drawing[row] and band < (generation.bands or model.num_bands) and is_alive(row)
            for row, generation in enumerate(generations)
        ]
        if not any(drawing):
            return
        started = _now(model.device)
        if predict is None:
            # What is done once is part of the first band's time.
            predict = new_predictor(model, generations, turn)
        inputs = _band_inputs(model, band, generations, canvas_BCHW, drawing)
        tokens_Bl, canvas_BCHW = turn.run(band, partial(_draw_band, model, band, predict), inputs)
        seconds = _now(model.device) - started
        yield BandStep(band=band, tokens_Bl=tokens_Bl, canvas_BCHW=canvas_BCHW, seconds=seconds)


def _empty_canvas(model: NFIGModel, num_rows: int) -> Tensor:
    tokenizer = model.config.tokenizer
    shape = (num_rows, tokenizer.latent_channels, tokenizer.latent_side, tokenizer.latent_side)
    return model.tokenizer.quantizer.codebook_VC.new_zeros(shape)


def _band_inputs(
    model: NFIGModel,
    band: int,
    generations: Sequence[Generation],
    canvas_BCHW: Tensor,
    drawing: Sequence[bool],
) -> BandInputs:
    nothing = (NO_TOKEN,) * model.config.tokenizer.grid_sides[band] ** 2
    keys = [noise_key(seed=g.seed, image_index=g.image_index, band=band) for g in generations]
    kept = [g.kept[band] if band < len(g.kept) else nothing for g in generations]
    guidance = [
        guidance_at(
            band,
            num_bands=model.num_bands,
            guidance_scale=g.guidance_scale,
            guided_bands=model.config.guided_bands,
        )
        for g in generations
    ]
    return BandInputs(
        canvas_BCHW=canvas_BCHW,
        key_B=torch.tensor(keys),
        guidance_B=torch.tensor(guidance, dtype=torch.float64),
        choice_B3=stack_choices([g.token_choice for g in generations]),
        kept_Bl=torch.tensor(kept),
        drawing_B=torch.tensor(drawing),
    )


@torch.no_grad()
def _draw_band(
    model: NFIGModel, band: int, predict: BandPredictor, *inputs: Tensor
) -> tuple[Tensor, Tensor]:
    """Tokens and canvas. Takes `BandInputs` one by one, so that it can be recorded."""
    given = BandInputs(*inputs)
    canvas_BCHW, device = given.canvas_BCHW, given.canvas_BCHW.device
    inputs_BlC = model.tokenizer.next_input(band, canvas_BCHW) if band else None
    logits_BlV = predict(band, inputs_BlC, given.guidance_B)
    noise_BlV = gumbel_noise(
        given.key_B,
        num_tokens=logits_BlV.shape[1],
        codebook_size=logits_BlV.shape[2],
        device=device,
    )
    tokens_Bl = draw_stacked(logits_BlV, noise_BlV, given.choice_B3)
    kept_Bl, drawing_B = given.kept_Bl.to(device), given.drawing_B.to(device)
    tokens_Bl = torch.where(kept_Bl == NO_TOKEN, tokens_Bl, kept_Bl)
    drawn_BCHW = canvas_BCHW + model.tokenizer.embed_band(band, tokens_Bl)
    return (
        torch.where(drawing_B.view(-1, 1), tokens_Bl, NO_TOKEN),
        torch.where(drawing_B.view(-1, 1, 1, 1), drawn_BCHW, canvas_BCHW),
    )


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


@torch.no_grad()
def _cached_predictor(
    model: NFIGModel, generations: Sequence[Generation], turn: Turn
) -> BandPredictor:
    """Conditions once, keys and values kept, both halves of guidance in one batch of 2B rows.

    The second half is left out where no row asks for guidance, and after the last guided band.
    """
    transformer, num_rows = model.transformer, len(generations)
    labels_B = _labels(transformer, generations)
    guided = any(g.guidance_scale > 0 for g in generations)
    guided_bands = model.config.guided_bands if guided else 0
    if guided_bands:
        labels_B = torch.cat([labels_B, torch.full_like(labels_B, transformer.no_class)])
    new_condition, num_model_rows = transformer.condition(labels_B), len(labels_B)
    condition, cache = turn.memory(
        (num_rows, num_model_rows),
        lambda: (new_condition, transformer.new_cache(num_model_rows)),
    )
    if condition is not new_condition:
        condition.overwrite(new_condition)
    first_condition, first_cache = condition.first_rows(num_rows), cache.first_rows(num_rows)

    def predict(band: int, inputs_BlC: Tensor | None, guidance_B: Tensor) -> Tensor:
        if band >= guided_bands:
            states_BlD = transformer.band_states(band, inputs_BlC, first_condition, first_cache)
            return transformer.logits(states_BlD)
        if inputs_BlC is not None:
            inputs_BlC = torch.cat([inputs_BlC, inputs_BlC])
        halves = transformer.band_states(band, inputs_BlC, condition, cache).chunk(2)
        # Guidance is linear and so is the head: guided first, it has half the rows.
        return transformer.logits(_guide(guidance_B, *halves))

    return predict


def _recomputing_predictor(
    model: NFIGModel, generations: Sequence[Generation], _: Turn
) -> BandPredictor:
    """Everything anew for each band, with the block-causal mask of training."""
    transformer = model.transformer
    labels_B = _labels(transformer, generations)
    nothing_BlC = transformer.position_LD.new_zeros(len(labels_B), 0, transformer.latent_channels)
    inputs_BMC = nothing_BlC

    def predict(band: int, inputs_BlC: Tensor | None, guidance_B: Tensor) -> Tensor:
        nonlocal inputs_BMC
        inputs_BMC = torch.cat([inputs_BMC, nothing_BlC if inputs_BlC is None else inputs_BlC], 1)
        columns = transformer.band_columns[band]
        conditional_BlV = transformer(labels_B, inputs_BMC)[:, columns]
        no_class_B = torch.full_like(labels_B, transformer.no_class)
        unconditional_BlV = transformer(no_class_B, inputs_BMC)[:, columns]
        return _guide(guidance_B, conditional_BlV, unconditional_BlV)

    return predict


def _labels(transformer: NextFrequencyTransformer, generations: Sequence[Generation]) -> Tensor:
    labels = [g.class_label for g in generations]
    return torch.tensor(labels, device=transformer.position_LD.device)


def _guide(guidance_B: Tensor, conditional_BlX: Tensor, unconditional_BlX: Tensor) -> Tensor:
    """Of logits, or of the states that they are linear in."""
    guidance_B11 = guidance_B.to(conditional_BlX).view(-1, 1, 1)
    return (1 + guidance_B11) * conditional_BlX - guidance_B11 * unconditional_BlX


def _check_whole(name: str, value: object, low: int, high: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ValueError(f"{name} must be a whole number from {low} to {high}, not {value!r}")


def _check_number(name: str, value: object, low: float, high: float) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not low <= value <= high:  # type: ignore[operator]
        raise ValueError(f"{name} must be a number from {low} to {high}, not {value!r}")
