"""The Python client against the real stack while its gateway is killed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from urllib.parse import urlsplit

from nfig_client import Backoff, BandCompleted, Client, Event, JobCompleted
from service.stack.choice import EngineName
from service.stack.processes import start_process
from service.stack.running import RunningStack
from tests.nfig_client.dropping_proxy import DroppingProxy

StartStack = Callable[[EngineName | None], AbstractContextManager[RunningStack]]


def test_a_watcher_goes_on_at_the_gateway_that_replaces_a_killed_one(
    start_stack: StartStack, tmp_path: Path
) -> None:
    patient = Backoff(max_retries=50, longest_seconds=1.0)
    with start_stack("fake") as stack, Client(stack.gateway_url, backoff=patient) as client:
        job = client.create("red", num_images=4, previews=2)
        port = urlsplit(stack.gateway_url).port
        assert port is not None
        # Cut after a few events: the rest can come from the other gateway alone.
        with DroppingProxy(port, iter([2500])) as proxy, Client(proxy.url, backoff=patient) as far:
            events = far.watch(job.id)
            seen = [next(events)]
            stack.gateway.process.kill()
            stack.gateway.process.wait()
            again = start_process(
                "gateway",
                [sys.executable, "-m", "service.gateway"],
                log=tmp_path / "gateway.log",
                environment={"NFIG_REDIS_URL": stack.redis.url, "NFIG_PORT": str(port)},
            )
            try:
                seen += events
                assert proxy.num_connections > 1
                assert isinstance(seen[-1], JobCompleted)
                assert ids(seen) == ids(client.watch(job))
            finally:
                again.stop()
    bands = [(event.image_index, event.band) for event in seen if isinstance(event, BandCompleted)]
    assert sorted(bands) == [(image, band) for image in range(4) for band in range(5)]


def ids(events: Iterable[Event]) -> list[str]:
    return [event.id for event in events]
