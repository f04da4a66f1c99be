"""How callers listen to the stream of an attached job, whichever door it comes by."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from tests.chaos.history import End, Sent
from tests.chaos.notebook import Notebook
from tests.chaos.wishes import SHAPES, Wish

ACCEPTED = "accepted"
IMAGE = "image"
ERROR = "error"
Told = AsyncGenerator[tuple[str, str]]
"""The job's id with the kind of each event of its stream: ACCEPTED first, then IMAGE, ERROR or
any other."""


async def listen(
    notebook: Notebook,
    sent: Sent,
    wish: Wish,
    events: Told,
    *,
    broken: tuple[type[Exception], ...],
    leave_after: int | None,
    stall_seconds: float,
) -> None:
    """Who leaves hangs up after so many events, of which the first says no more than that the job
    is accepted; who stalls does not touch the connection for so long, and then reads on."""
    job, kinds = None, list[str]()
    how: End = "broken"
    try:
        async with aclosing(events):
            async for job, kind in events:
                kinds.append(kind)
                if len(kinds) == leave_after:
                    how = "left"
                    break
                if len(kinds) == 1 and stall_seconds:
                    notebook.stalled(job, stall_seconds)
                    await asyncio.sleep(stall_seconds)
            else:
                how = _end(kinds, wish)
    except broken as error:
        if not notebook.has_outcome(sent):
            notebook.unanswered(sent, repr(error))
    if job is not None:
        notebook.ended(sent, how)
        if how == "left":
            notebook.left(job)


def _end(kinds: Sequence[str], wish: Wish) -> End:
    """Of a stream that ended in order."""
    if ERROR in kinds[-1:]:
        return "error"
    return "images" if kinds.count(IMAGE) == SHAPES[wish.shape].images else "short"
