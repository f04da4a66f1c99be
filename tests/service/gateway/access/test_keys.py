"""Laws of API keys and of the file that knows them."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.gateway.access import key_file
from service.gateway.access.key_file import KeyFile
from service.gateway.access.keys import new_key, read_keys
from service.gateway.access.principal import Limits

NOW = datetime.now(UTC)


def test_a_new_key_is_known_by_its_entry_and_by_nothing_else() -> None:
    made, other = new_key("acme"), new_key("zeal")
    table = read_keys(made.entry + other.entry)
    assert table.tenant(made.key, now=NOW) == "acme"
    assert table.tenant(other.key, now=NOW) == "zeal"
    assert table.tenant(new_key("acme").key, now=NOW) is None


def test_the_file_does_not_tell_the_key() -> None:
    made = new_key("acme")
    secret = made.key.split("-", 2)[2]
    assert secret not in made.entry
    assert len(secret) == 43
    assert read_keys(made.entry).tenant(made.entry.split('"')[3], now=NOW) is None


@given(text=st.text(max_size=80))
def test_any_text_is_no_key(text: str) -> None:
    assert read_keys(new_key("acme").entry).tenant(text, now=NOW) is None


def test_a_key_whose_end_was_changed_is_none() -> None:
    made = new_key("acme")
    last = "A" if made.key[-1] != "A" else "B"
    assert read_keys(made.entry).tenant(made.key[:-1] + last, now=NOW) is None


def test_a_key_ends_when_it_expires() -> None:
    made = new_key("acme", expires=NOW + timedelta(days=1))
    table = read_keys(made.entry)
    assert table.tenant(made.key, now=NOW) == "acme"
    assert table.tenant(made.key, now=NOW + timedelta(days=1)) is None
    with pytest.raises(ValueError, match="expires"):
        new_key("acme", expires=NOW - timedelta(seconds=1))


def test_limits_are_the_tenants() -> None:
    text = "[tenants.acme]\nrequests_per_minute = 60\njobs_in_flight = 2\n" + new_key("acme").entry
    table = read_keys(text)
    assert table.limits("acme") == Limits(requests_per_minute=60, jobs_in_flight=2)
    assert table.limits("zeal") == Limits()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "has no keys"),
        ("[keys", "TOML"),
        ("[keys.a]\ntenant = 'acme'", "keys.a.sha256"),
        ("[keys.a]\ntenant = 'acme'\nsha256 = 'SECRET'", "keys.a.sha256"),
        ("[tenants.acme]\nrequests = 5", "tenants.acme.requests"),
        ("[tenants.acme]\njobs_in_flight = 0", "tenants.acme.jobs_in_flight"),
        ("[tenants.acme]\njobs_in_flight = true", "tenants.acme.jobs_in_flight"),
        ("[tenants.'a:b']\n", "tenant must be"),
        (f"[keys.a]\ntenant = 'anonymous'\nsha256 = '{'0' * 64}'", "anonymous"),
    ],
)
def test_a_wrong_file_is_refused_by_name_and_not_repeated(text: str, named: str) -> None:
    with pytest.raises(ValueError, match=named) as refused:
        read_keys(text)
    assert "SECRET" not in str(refused.value)


@pytest.mark.parametrize("tenant", ["", "Acme", "a b", "-a", "a:b", "a" * 64, 'a"', "anonymous"])
def test_a_tenants_name_is_refused_by_name(tenant: str) -> None:
    with pytest.raises(ValueError, match="tenant"):
        new_key(tenant)


def test_a_changed_file_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_file, "LOOK_SECONDS", 0.0)
    path = tmp_path / "keys.toml"
    first, second = new_key("acme"), new_key("acme")
    path.write_text(first.entry)
    file = KeyFile(path)
    assert file.table().tenant(first.key, now=NOW) == "acme"
    path.write_text(second.entry)
    os.utime(path, ns=(time.time_ns() + 10**9,) * 2)
    assert file.table().tenant(first.key, now=NOW) is None
    assert file.table().tenant(second.key, now=NOW) == "acme"


def test_a_file_that_breaks_changes_nothing_and_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(key_file, "LOOK_SECONDS", 0.0)
    path = tmp_path / "keys.toml"
    made = new_key("acme")
    path.write_text(made.entry)
    file = KeyFile(path)
    path.write_text("[keys")
    assert file.table().tenant(made.key, now=NOW) == "acme"
    path.unlink()
    assert file.table().tenant(made.key, now=NOW) == "acme"
    assert [str(path) in record.getMessage() for record in caplog.records] == [True, True]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="keys.toml cannot be read"):
        KeyFile(tmp_path / "keys.toml")
