"""Laws of both clients where connections break: nothing is lost, repeated or drawn twice."""

from __future__ import annotations

import threading
from itertools import chain, islice, repeat

import pytest

from nfig_client import Client, ConnectionLostError, JobCompleted, JobGoneError
from nfig_client.backoff import Backoff
from service.stack.processes import free_port
from tests.nfig_client.conftest import OpenClient
from tests.nfig_client.dropping_proxy import DroppingProxy
from tests.nfig_client.gateway_thread import GatewayThread

pytestmark = pytest.mark.timeout(60)


def test_wherever_a_connection_is_cut_every_event_is_seen_once_and_in_order(
    client: Client, open_client: OpenClient, gateway: GatewayThread
) -> None:
    job = client.create("red", num_images=2, previews=2, seed=7)
    whole = list(client.watch(job))
    assert isinstance(whole[-1], JobCompleted)
    num_cuts = 0
    # From the head of an answer with one event to the whole of it.
    for budget in range(1500, 5500, 211):
        with DroppingProxy(gateway.port, repeat(budget)) as proxy:
            through = open_client(proxy.url)
            seen = list(through.watch(job.id))
            through.close()
            assert [event.id for event in seen] == [event.id for event in whole], budget
            num_cuts += proxy.num_cuts
    assert num_cuts > 12


def test_a_job_is_watched_while_it_is_drawn_over_connections_that_break(
    open_client: OpenClient, gateway: GatewayThread
) -> None:
    gateway.engine.band_seconds = 0.03
    with DroppingProxy(gateway.port, chain([3000], repeat(1600))) as proxy:
        through = open_client(proxy.url)
        events = list(through.stream("red", num_images=2))
        through.close()
        assert proxy.num_cuts > 1
    direct = open_client(gateway.url)
    assert [event.id for event in events] == [e.id for e in direct.watch(events[0].job)]


@pytest.mark.parametrize("budget", [0, 1, 200, 700])
def test_a_job_whose_answer_was_lost_is_not_created_again(
    open_client: OpenClient, gateway: GatewayThread, budget: int
) -> None:
    before = gateway.num_jobs()
    with DroppingProxy(gateway.port, iter([budget, budget, budget])) as proxy:
        through = open_client(proxy.url)
        job = through.create("red")
        through.close()
        assert proxy.num_cuts == 3
    assert gateway.num_jobs() == before + 1
    assert open_client(gateway.url).job(job.id).id == job.id


def test_a_watcher_outlives_its_gateway(client: Client, gateway: GatewayThread) -> None:
    gateway.engine.band_seconds = 0.1
    events = client.stream("red")
    seen = list(islice(events, 3))
    gateway.stop()
    gateway.start()
    seen += events
    assert [event.id for event in seen] == [event.id for event in client.watch(seen[0].job)]
    assert isinstance(seen[-1], JobCompleted)


def test_a_call_waits_for_a_gateway_that_is_restarted(
    open_client: OpenClient, gateway: GatewayThread
) -> None:
    patient = open_client(gateway.url, backoff=Backoff(first_seconds=0.05, max_retries=10))
    gateway.stop()
    starting = threading.Timer(0.3, gateway.start)
    starting.start()
    try:
        assert patient.generate("red").job.state == "completed"
    finally:
        starting.join()


def test_a_job_that_expires_behind_a_watchers_back_is_gone(
    client: Client, gateway: GatewayThread
) -> None:
    gateway.engine.band_seconds = 1.0
    events = client.stream("red")
    seen = list(islice(events, 2))
    gateway.stop()
    kept = gateway.queue._records.pop(seen[0].job)
    gateway.start()
    try:
        with pytest.raises(JobGoneError):
            list(events)
    finally:
        gateway.queue._records[seen[0].job] = kept


def test_attempts_are_bounded(open_client: OpenClient) -> None:
    nowhere = f"http://127.0.0.1:{free_port(0)}"
    client = open_client(nowhere, backoff=Backoff(first_seconds=0.001, max_retries=2))
    for call in (lambda: client.models(), lambda: list(client.watch("a"))):
        with pytest.raises(ConnectionLostError, match=r"no answer from http://127\.0\.0\.1"):
            call()


def test_a_service_that_always_hangs_up_is_given_up(
    open_client: OpenClient, gateway: GatewayThread
) -> None:
    job = open_client(gateway.url).create("red")
    with DroppingProxy(gateway.port, repeat(300)) as proxy:
        through = open_client(proxy.url, backoff=Backoff(first_seconds=0.001, max_retries=3))
        with pytest.raises(ConnectionLostError):
            list(through.watch(job.id))
        through.close()
        assert proxy.num_connections == 4
