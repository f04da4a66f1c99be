"""When the stack starts Triton anew, and when it gives up."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from service.stack.processes import PartFailed
from service.stack.triton_keeper import DOUBT_SECONDS, MAX_RESTARTS, TritonKeeper


@dataclass
class World:
    """A Triton, what its worker says of it, and the time."""

    name: str = "Triton"
    status: int | None = None
    draws: bool | None = True
    now: float = 0.0
    restarts: int = 0
    said: list[str] = field(default_factory=list)

    def exit_status(self) -> int | None:
        return self.status

    def restart(self) -> None:
        self.restarts += 1
        self.status = None

    def keeper(self) -> TritonKeeper:
        return TritonKeeper(self, lambda: self.draws, say=self.said.append, clock=lambda: self.now)


def test_one_that_ends_is_started_anew_at_once() -> None:
    world = World(status=-9)
    keeper = world.keeper()
    keeper.look()
    keeper.look()
    assert world.restarts == 1
    assert world.said == ["Triton ended with status -9: it is started anew"]


def test_one_that_does_not_draw_is_started_anew_after_a_while_and_then_twice_that() -> None:
    world = World(draws=False)
    keeper = world.keeper()
    moments = (0.0, 0.9, 1.0, 2.0, 3.9, 4.0, 5.0, 8.9, 9.0)
    expected = (0, 0, 1, 1, 1, 2, 2, 2, 3)
    for moment, restarts in zip(moments, expected, strict=True):
        world.now = moment * DOUBT_SECONDS
        keeper.look()
        assert world.restarts == restarts, moment


@pytest.mark.parametrize("word", [True, None])
def test_a_doubt_that_ends_or_that_nobody_has_begins_anew(word: bool | None) -> None:
    world = World(draws=False)
    keeper = world.keeper()
    for _ in range(4):
        world.draws = False
        keeper.look()
        world.now += 0.9 * DOUBT_SECONDS
        keeper.look()
        world.draws = word
        keeper.look()
    assert world.restarts == 0


def test_one_that_it_does_not_help_ends_the_stack_by_name() -> None:
    world = World()
    keeper = world.keeper()
    for _ in range(MAX_RESTARTS):
        world.status = 1
        keeper.look()
    world.status = 1
    with pytest.raises(PartFailed, match="Triton ended with status 1, however often"):
        keeper.look()
    world.status = None
    keeper.look()  # it draws again
    world.status = 1
    keeper.look()
    assert world.restarts == MAX_RESTARTS + 1
