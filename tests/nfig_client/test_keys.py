"""Laws of both clients at a gateway that asks for keys."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nfig_client import AuthenticationError, Backoff, NotFoundError, RateLimitError
from service.gateway.access.keys import new_key
from tests.nfig_client.conftest import OpenClient
from tests.nfig_client.gateway_thread import GatewayThread

ACME, ZEAL = new_key("acme"), new_key("zeal")
LIMITS = "[tenants.zeal]\nrequests_per_minute = 1\n\n"


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[GatewayThread]:
    keys = tmp_path / "keys.toml"
    keys.write_text(LIMITS + ACME.entry + ZEAL.entry)
    with GatewayThread(api_keys_file=str(keys)) as gateway:
        yield gateway


def test_a_key_opens_every_door_and_its_jobs_are_its_own(
    open_client: OpenClient, locked: GatewayThread
) -> None:
    acme = open_client(locked.url, api_key=ACME.key)
    drawn = acme.generate("red", previews=1)
    assert acme.models()
    with pytest.raises(NotFoundError):
        open_client(locked.url, api_key=ZEAL.key).job(drawn.job.id)
    for key in (None, "wrong"):
        with pytest.raises(AuthenticationError) as caught:
            open_client(locked.url, api_key=key).create("red")
        assert (caught.value.status, caught.value.code) == (401, "invalid_api_key")


def test_who_asks_too_often_is_told_when_to_come_back(
    open_client: OpenClient, locked: GatewayThread
) -> None:
    impatient = Backoff(patience_seconds=0.5)
    zeal = open_client(locked.url, api_key=ZEAL.key, backoff=impatient)
    zeal.create("red")
    with pytest.raises(RateLimitError) as caught:
        zeal.create("red")
    assert caught.value.code == "rate_limit_exceeded"
    assert caught.value.retryable
    assert (caught.value.retry_after_s or 0) >= 1
