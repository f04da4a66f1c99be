"""Who may draw where no keys are asked for: this machine, unless it is said otherwise."""

from __future__ import annotations

import pytest

from service.gateway.access.access import check_exposure
from service.settings import GatewaySettings


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_a_loopback_address_needs_no_keys(host: str) -> None:
    assert "only this machine" in check_exposure(GatewaySettings(host=host))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "10.0.0.1", "example.org", "127.0.0.1.x"])
def test_any_other_address_does(host: str) -> None:
    with pytest.raises(ValueError, match="NFIG_API_KEYS_FILE.*NFIG_ALLOW_ANONYMOUS"):
        check_exposure(GatewaySettings(host=host))
    assert "need a key" in check_exposure(GatewaySettings(host=host, api_keys_file="keys.toml"))
    assert "anybody" in check_exposure(GatewaySettings(host=host, allow_anonymous=True))


def test_keys_and_anonymous_callers_contradict_each_other() -> None:
    with pytest.raises(ValueError, match="NFIG_ALLOW_ANONYMOUS contradicts NFIG_API_KEYS_FILE"):
        check_exposure(GatewaySettings(allow_anonymous=True, api_keys_file="keys.toml"))
