"""API keys and the file that knows them.

A key is 256 random bits, so a plain SHA-256 is as good a lock as any: slow password hashes protect
secrets that can be guessed, and would cost every request what they cost an attacker. The file has
hashes only; whoever reads it cannot ask for anything.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from service.domain import ANONYMOUS, Priority
from service.gateway.access.principal import Limits

TENANT = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_KEY = re.compile(r"nfig-(?P<id>[0-9a-f]{12})-[A-Za-z0-9_-]{43}")
_NO_HASH = "0" * 64


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Tenant(_Strict):
    requests_per_minute: int | None = Field(None, ge=1, le=1_000_000)
    jobs_in_flight: int | None = Field(None, ge=1)
    images_per_request: int | None = Field(None, ge=1)
    max_priority: Priority | None = None


class _Key(_Strict):
    tenant: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    expires: AwareDatetime | None = None


class _File(_Strict):
    tenants: dict[str, _Tenant] = {}
    keys: dict[str, _Key] = {}


@dataclass(frozen=True, kw_only=True)
class NewKey:
    """A key at the only moment at which anybody sees it."""

    key: str
    entry: str
    """What the file needs to know it by."""


def new_key(tenant: str, *, expires: datetime | None = None) -> NewKey:
    """Raises ValueError that names the tenant's name or the expiry."""
    _check_tenant(tenant)
    if expires is not None and expires <= datetime.now(UTC):
        raise ValueError("expires must lie in the future")
    key_id = secrets.token_hex(6)
    key = f"nfig-{key_id}-{secrets.token_urlsafe(32)}"
    lines = [f"[keys.{key_id}]", f'tenant = "{tenant}"', f'sha256 = "{_hash(key)}"']
    if expires is not None:
        lines.append(f"expires = {expires.astimezone(UTC).isoformat(timespec='seconds')}")
    return NewKey(key=key, entry="\n".join(lines) + "\n")


class KeyTable:
    """What one reading of the file said."""

    def __init__(self, keys: Mapping[str, _Key], limits: Mapping[str, Limits]) -> None:
        self._keys = keys
        self._limits = limits

    def __len__(self) -> int:
        return len(self._keys)

    def tenant(self, key: str, *, now: datetime) -> str | None:
        """Whose key it is; None for one that is unknown or has expired.

        The id inside the key finds the entry, and is no secret; the hashes are compared in
        constant time, for an unknown id too.
        """
        match = _KEY.fullmatch(key)
        entry = self._keys.get(match["id"]) if match else None
        same = hmac.compare_digest(_hash(key), entry.sha256 if entry else _NO_HASH)
        if entry is None or not same or (entry.expires is not None and entry.expires <= now):
            return None
        return entry.tenant

    def limits(self, tenant: str) -> Limits:
        """What the file says; a limit it does not name is None."""
        return self._limits.get(tenant, Limits())


def read_keys(text: str) -> KeyTable:
    """Raises ValueError that names the entry and the field at fault, and repeats no value."""
    try:
        file = _File.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"is not TOML: {error}") from None
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    for tenant in (*file.tenants, *(key.tenant for key in file.keys.values())):
        _check_tenant(tenant)
    if not file.keys:
        raise ValueError("has no keys; make one with nfig-admin keys new")
    limits = {tenant: Limits(**each.model_dump()) for tenant, each in file.tenants.items()}
    return KeyTable(file.keys, limits)


def _check_tenant(tenant: str) -> None:
    if not TENANT.fullmatch(tenant):
        text = "tenant must be 1 to 63 of a-z, 0-9, - and _, and begin with a letter or digit"
        raise ValueError(text)
    if tenant == ANONYMOUS:
        raise ValueError(f"tenant must not be {ANONYMOUS}, the name of callers without a key")


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
