"""Laws of both clients against a real gateway: what is drawn, watched, cancelled, refused."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import io
from itertools import islice

import pytest
from PIL import Image

from nfig_client import (
    AsyncClient,
    BandCompleted,
    Client,
    IdempotencyConflictError,
    ImageCompleted,
    InvalidRequestError,
    JobCancelled,
    JobCancelledError,
    JobCompleted,
    JobGoneError,
    JobQueued,
    JobStarted,
    NotFoundError,
)
from tests.nfig_client.conftest import OpenClient
from tests.nfig_client.gateway_thread import GatewayThread

pytestmark = pytest.mark.timeout(60)


def test_a_generation_is_its_images(client: Client) -> None:
    drawn = client.generate("red", num_images=2, seed=7)
    assert [image.image_index for image in drawn.images] == [0, 1]
    assert drawn.job.state == "completed"
    for image in drawn.images:
        assert hashlib.sha256(image.content).hexdigest() == image.digest
        assert (image.seed, image.bands_completed, image.format) == (7, 5, "png")
        with Image.open(io.BytesIO(image.content)) as picture:
            assert picture.size == (64, 64)


def test_every_option_arrives(client: Client) -> None:
    plain = client.generate("red", seed=7)
    for changed in (
        {"seed": 8},
        {"guidance_scale": 2.0},
        {"top_k": 3},
        {"top_p": 0.5},
        {"temperature": 2.0},
        {"bands": 2},
        {"picture_format": "webp", "picture_quality": 50},
    ):
        other = client.generate("red", **{"seed": 7, **changed})
        assert other.images[0].digest != plain.images[0].digest, changed
    assert client.generate(0, seed=7, model="fake").images[0].digest == plain.images[0].digest


def test_a_generation_in_no_hurry_has_all_its_bands(client: Client) -> None:
    drawn = client.generate("red", deadline_ms=60_000, start_within_ms=60_000)
    assert drawn.images[0].bands_completed == drawn.job.bands
    with pytest.raises(InvalidRequestError) as caught:
        client.create("red", deadline_ms=0)
    assert caught.value.field == "deadline_ms"


def test_a_stream_is_the_whole_log_with_previews_behind_their_addresses(client: Client) -> None:
    events = list(client.stream("red", seed=7, previews=2))
    assert [type(event) for event in events] == [
        JobQueued,
        JobStarted,
        *[BandCompleted] * 5,
        ImageCompleted,
        JobCompleted,
    ]
    bands = [event for event in events if isinstance(event, BandCompleted)]
    assert [event.band for event in bands] == [0, 1, 2, 3, 4]
    shown = [event.preview for event in bands if event.preview is not None]
    assert len(shown) == 2
    for preview in shown:
        content = client.download(preview)
        assert len(content) == preview.num_bytes
        with Image.open(io.BytesIO(content)) as picture:
            assert picture.width == preview.side


def test_a_watcher_goes_on_from_any_event(client: Client) -> None:
    events = list(client.stream("red", seed=7))
    job = client.job(events[0].job)
    for index, event in enumerate(events):
        assert list(client.watch(job, after=event.id)) == events[index + 1 :]
        assert list(client.watch(job.id, after=event.id)) == events[index + 1 :]


def test_who_stops_listening_leaves_the_job_to_itself(client: Client) -> None:
    events = client.stream("red")
    (first,) = islice(events, 1)
    events.close()  # type: ignore[attr-defined]
    assert isinstance(list(client.watch(first.job))[-1], JobCompleted)


def test_a_cancelled_job_ends_as_cancelled(client: Client, gateway: GatewayThread) -> None:
    gateway.engine.band_seconds = 0.2
    job = client.create("red")
    assert not job.ended
    client.cancel(job)
    assert isinstance(list(client.watch(job))[-1], JobCancelled)
    assert client.cancel(job.id).state == "cancelled"
    with pytest.raises(JobCancelledError) as caught:
        client.images(job)
    assert caught.value.job == job.id


@pytest.mark.parametrize(
    ("options", "field"),
    [({"num_images": 0}, "num_images"), ({"top_p": 2.0}, "top_p"), ({"previews": 9}, "previews")],
)
def test_a_refused_field_is_named(client: Client, options: dict[str, int], field: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        client.generate("red", **options)
    error = caught.value
    assert (error.status, error.code, error.field) == (400, "invalid_request", field)
    assert not error.retryable
    assert error.request_id
    assert field in str(error)


def test_an_unknown_class_and_an_unknown_model_are_told_apart(client: Client) -> None:
    with pytest.raises(InvalidRequestError) as unknown_class:
        client.create("unicorn")
    assert (unknown_class.value.code, unknown_class.value.field) == ("unknown_class", "class_label")
    with pytest.raises(NotFoundError) as unknown_model:
        client.create("red", model="other")
    assert unknown_model.value.code == "unknown_model"


def test_an_option_that_does_not_exist_is_a_mistake_of_the_program(client: Client) -> None:
    with pytest.raises(TypeError, match="colour"):
        client.create("red", colour="blue")  # type: ignore[call-arg]


def test_a_key_of_ones_own_makes_calls_one_job(client: Client, open_client: OpenClient) -> None:
    key = f"key-{id(client)}"
    first = client.create("red", idempotency_key=key)
    assert client.create("red", idempotency_key=key).id == first.id
    assert client.create("red").id != first.id
    with pytest.raises(IdempotencyConflictError):
        client.create("blue", idempotency_key=key)


def test_a_job_that_never_was_is_gone(client: Client) -> None:
    with pytest.raises(NotFoundError):
        client.job("nothing")
    with pytest.raises(JobGoneError) as caught:
        list(client.watch("nothing"))
    assert caught.value.field == "job_id"
    with pytest.raises(ValueError, match="job must be"):
        client.job("")


def test_a_place_in_the_log_that_is_none_is_refused_by_name(client: Client) -> None:
    job = client.create("red")
    with pytest.raises(InvalidRequestError) as caught:
        list(client.watch(job, after="x"))
    assert caught.value.field == "last-event-id"


def test_both_clients_have_the_same_verbs_and_say_the_same_of_them() -> None:
    names = {name for name in vars(Client) if not name.startswith("_")}
    assert names == {name for name in vars(AsyncClient) if not name.startswith("_")}
    for name in [*names, "__init__"]:
        one, other = getattr(Client, name), getattr(AsyncClient, name)
        assert one.__doc__ == other.__doc__, name
        parameters = [inspect.signature(verb).parameters for verb in (one, other)]
        assert parameters[0] == parameters[1], name


def test_a_client_holds_more_watchers_than_httpx_would(gateway: GatewayThread) -> None:
    async def first_events() -> set[str]:
        async with AsyncClient(gateway.url) as client, asyncio.timeout(20):
            job = await client.create("red")
            watchers = [client.watch(job) for _ in range(120)]
            # Each keeps its connection until it is closed.
            events = await asyncio.gather(*(anext(watcher) for watcher in watchers))
            for watcher in watchers:
                await watcher.aclose()
        return {event.id for event in events}

    assert len(asyncio.run(first_events())) == 1


def test_models_are_listed_and_one_has_its_classes(client: Client) -> None:
    (model,) = client.models()
    assert (model.id, model.engine, model.bands) == ("fake", "ready", 5)
    assert model.class_names == ()
    assert client.model("fake").class_names[0] == "red"
    with pytest.raises(NotFoundError):
        client.model("no such/one")
