"""Shows a job as it is drawn: pictures that sharpen in a terminal, a line per event elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from rich.columns import Columns
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from nfig_client.events import (
    BandCompleted,
    Event,
    ImageCompleted,
    JobFailed,
    JobStarted,
    OtherEvent,
    TerminalEvent,
)
from nfig_client.half_blocks import half_blocks
from nfig_client.records import Picture

GAP = 2
MOST_COLUMNS = 96
Download = Callable[[Picture], bytes]


def show(events: Iterable[Event], download: Download, console: Console) -> Event | None:
    """Takes the events as they come; returns the last one."""
    if console.is_terminal:
        return _show_pictures(events, download, console)
    last = None
    for last in events:
        console.print(line_of(last), soft_wrap=True, highlight=False, markup=False)
    return last


def line_of(event: Event) -> str:
    """What happened, in one line."""
    if isinstance(event, BandCompleted):
        said = f"image {event.image_index}: band {event.band} in {event.seconds * 1000:.1f} ms"
    elif isinstance(event, ImageCompleted):
        said = f"image {event.image_index}: complete with {event.bands_completed} bands"
    elif isinstance(event, JobStarted):
        said = f"started, attempt {event.attempt}"
    elif isinstance(event, JobFailed):
        said = f"failed: {event.message} ({event.code})"
    elif isinstance(event, OtherEvent):
        said = event.name
    else:
        said = type(event).__name__.removeprefix("Job").lower()
    return f"{event.elapsed_ms:8.0f} ms  {said}"


def _show_pictures(events: Iterable[Event], download: Download, console: Console) -> Event | None:
    last = None
    seen: dict[int, bytes] = {}
    with Live(console=console, auto_refresh=False) as live:
        for last in events:
            picture = _picture_of(last)
            if picture is not None:
                seen[picture[0]] = download(picture[1])
            if not isinstance(last, TerminalEvent):
                live.update(_frame(seen, line_of(last), console), refresh=True)
    return last


def _picture_of(event: Event) -> tuple[int, Picture] | None:
    if isinstance(event, BandCompleted) and event.preview is not None:
        return event.image_index, event.preview
    if isinstance(event, ImageCompleted):
        return event.image_index, event.picture
    return None


def _frame(seen: dict[int, bytes], caption: str, console: Console) -> Group:
    """All images in rows, as large as the terminal has room for."""
    # A line for the caption, one for the cursor.
    columns = fitting_columns(len(seen), width=console.width, height=console.height - 2)
    pictures = [half_blocks(seen[index], columns=columns) for index in sorted(seen)]
    return Group(Columns(pictures, padding=(0, GAP)), Text(caption.strip()))


def fitting_columns(count: int, *, width: int, height: int) -> int:
    """The most characters that each of `count` square pictures may be wide."""
    for columns in range(min(MOST_COLUMNS, width), 1, -1):
        in_a_row = max(1, (width + GAP) // (columns + GAP))
        num_rows = -(-count // in_a_row)
        # A character is two pixels high.
        if num_rows * -(-columns // 2) <= height:
            return columns
    return 1
