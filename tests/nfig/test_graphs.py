"""What is recorded draws what is called directly. The recorder stands in: no GPU has tried it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from unittest import mock

import pytest
import torch
from torch import Tensor

from nfig.config import ModelConfig, TokenizerConfig, TransformerConfig
from nfig.generation import Generation, generate
from nfig.graphs import Graphs
from nfig.model import NFIGModel

CONFIG = ModelConfig(
    name="tiny",
    tokenizer=TokenizerConfig(
        image_size=16,
        grid_sides=(1, 2, 4),
        codebook_size=48,
        latent_channels=5,
        channels=8,
        channel_multipliers=(1, 1, 1),
        patch_side=1,
    ),
    transformer=TransformerConfig(depth=2, width=24, num_heads=3, num_classes=7),
)
PLAIN = Generation(class_label=3, seed=11, guidance_scale=2.0, top_k=0, top_p=1.0, temperature=1.0)
FIRST = (PLAIN, replace(PLAIN, seed=5, top_k=7, top_p=0.8))
SECOND = (
    replace(PLAIN, class_label=0, seed=6, guidance_scale=4.5, temperature=0.0, bands=2),
    replace(PLAIN, class_label=6, kept=((9,), (1, 2, 3, 4)), image_index=3),
)
UNGUIDED = (replace(PLAIN, guidance_scale=0.0),)


@contextlib.contextmanager
def nothing_from_the_host() -> Iterator[None]:
    """A capture refuses tensors made of the host's numbers."""
    refuse = mock.Mock(side_effect=AssertionError("the host's numbers in a graph"))
    with (
        mock.patch.object(torch, "tensor", refuse),
        mock.patch.object(Tensor, "new_tensor", refuse),
    ):
        yield


class StandIn:
    """Repeats the function on the memory that it was recorded with, as a graph would."""

    def __init__(self, device: str = "cpu") -> None:
        self.device = torch.device(device)
        self.recorded = 0
        self.replayed = 0
        self.overwrite: list[Tensor] = []

    def record(
        self, function: Callable[[], tuple[Tensor, ...]]
    ) -> tuple[Callable[[], None], tuple[Tensor, ...]]:
        self.recorded += 1
        outputs = function()

        def replay() -> None:
            self.replayed += 1
            for output, again in zip(outputs, function(), strict=True):
                output.copy_(again)
            self.overwrite = list(outputs)

        return replay, outputs


@pytest.fixture(scope="module")
def model() -> NFIGModel:
    torch.manual_seed(0)
    model = NFIGModel(CONFIG).eval()
    for parameter in model.transformer.parameters():
        parameter.data.add_(torch.randn_like(parameter), alpha=0.3)
    return model


def test_a_function_sees_inputs_of_its_own_and_hands_out_copies() -> None:
    backend = StandIn()
    turn = Graphs(backend).begin()
    seen: list[int] = []

    def double(x: Tensor) -> tuple[Tensor]:
        seen.append(x.data_ptr())
        return (2 * x,)

    given = [torch.full((2,), float(number)) for number in range(3)]
    outputs = [turn.run(0, double, (x,))[0] for x in given]
    for backend_owned in backend.overwrite:
        backend_owned.fill_(torch.nan)
    assert [output.tolist() for output in outputs] == [[0, 0], [2, 2], [4, 4]]
    assert len(set(seen)) == 1
    assert seen[0] not in {x.data_ptr() for x in given}


def test_recorded_bands_draw_what_is_drawn_directly(model: NFIGModel) -> None:
    graphs = Graphs(StandIn())
    for rows in (FIRST, SECOND, FIRST[:1], UNGUIDED, SECOND[:1], FIRST):
        recorded, direct = list(generate(model, rows, graphs=graphs)), list(generate(model, rows))
        for step, same in zip(recorded, direct, strict=True):
            assert torch.equal(step.tokens_Bl, same.tokens_Bl)
            assert torch.equal(step.canvas_BCHW, same.canvas_BCHW)


def test_a_band_is_recorded_once_per_batch_size(model: NFIGModel) -> None:
    backend = StandIn()
    graphs = Graphs(backend)
    counts = []
    for rows in (FIRST, SECOND, FIRST[:1], SECOND[1:], UNGUIDED, FIRST):
        list(generate(model, rows, graphs=graphs))
        counts.append(backend.recorded)
    # A batch without guidance has half the rows in the transformer: graphs of its own.
    assert counts == [3, 3, 6, 6, 9, 9]
    assert backend.replayed == 6 * 3


def test_on_a_cpu_nothing_is_recorded(model: NFIGModel) -> None:
    with mock.patch.object(Graphs, "_record", side_effect=AssertionError):
        graphs = Graphs.on(torch.device("cpu"))
        assert len(list(generate(model, FIRST, graphs=graphs))) == 3
        turn = graphs.begin()
        assert turn.memory("rows", object) is not turn.memory("rows", object)


def test_a_generation_ends_where_another_begins(model: NFIGModel) -> None:
    graphs = Graphs(StandIn())
    first = generate(model, FIRST, graphs=graphs)
    next(first)
    list(generate(model, FIRST, graphs=graphs))
    with pytest.raises(RuntimeError, match="another generation has begun"):
        next(first)


@pytest.mark.parametrize("quantization", ["frequency", "area"])
def test_a_band_asks_nothing_of_the_host(quantization: str) -> None:
    """On torch's shapes-only device, which has no numbers and refuses tensors from elsewhere."""
    tokenizer = replace(CONFIG.tokenizer, quantization=quantization)  # type: ignore[arg-type]
    model = NFIGModel(replace(CONFIG, tokenizer=tokenizer)).eval().to("meta")

    class Strict(StandIn):
        def record(
            self, function: Callable[[], tuple[Tensor, ...]]
        ) -> tuple[Callable[[], None], tuple[Tensor, ...]]:
            with nothing_from_the_host():
                return super().record(function)

    with mock.patch.object(torch, "autocast", lambda *_, **__: contextlib.nullcontext()):
        steps = list(generate(model, (*FIRST, *SECOND), graphs=Graphs(Strict("meta"))))
    assert [step.tokens_Bl.shape for step in steps] == [(4, 1), (4, 4), (4, 16)]
    assert {step.canvas_BCHW.device.type for step in steps} == {"meta"}
