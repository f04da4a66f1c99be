"""From the service's JSON to records: unknown members are passed over, missing ones are not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from nfig_client.errors import ProtocolError

Record = TypeVar("Record")


def record(kind: type[Record], data: Any, **read: Any) -> Record:
    """A record of the members that it knows; `read` are those that were read already.

    Raises ProtocolError.
    """
    if not isinstance(data, Mapping):
        raise ProtocolError(f"the service sent a {kind.__name__} that is no object")
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    given = {name: value for name, value in data.items() if name in known}
    try:
        return kind(**{**given, **read})
    except TypeError:
        missing = ", ".join(sorted(known - given.keys() - read.keys()))
        raise ProtocolError(f"the service sent a {kind.__name__} without {missing}") from None


def member(data: Any, name: str) -> Any:
    """Raises ProtocolError where it is missing."""
    if not isinstance(data, Mapping) or name not in data:
        raise ProtocolError(f"the service sent an answer without {name}")
    return data[name]
