"""What clients say and are told of bands that are left out under load."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nfig_client import Client, ImageCompleted, InvalidRequestError
from tests.nfig_client.conftest import OpenClient
from tests.nfig_client.gateway_thread import GatewayThread


@pytest.fixture
def browned_out(open_client: OpenClient) -> Iterator[Client]:
    """A client of a service that draws two bands of whoever accepts that."""
    gateway = GatewayThread()
    gateway.brownout.level = 3
    with gateway:
        yield open_client(gateway.url)


def test_an_image_that_was_cut_says_so(browned_out: Client) -> None:
    cut = browned_out.generate("red", seed=7)
    assert [(image.bands_completed, image.shed) for image in cut.images] == [(2, True)]
    assert cut.job.images[0].shed
    events = [*browned_out.watch(cut.job)]
    assert [event.shed for event in events if isinstance(event, ImageCompleted)] == [True]
    whole = browned_out.generate("red", seed=7, brownout="never")
    assert [(image.bands_completed, image.shed) for image in whole.images] == [(5, False)]


def test_another_word_is_refused_by_name(client: Client) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        client.create("red", brownout="maybe")  # type: ignore[typeddict-item]
    assert caught.value.field == "brownout"
