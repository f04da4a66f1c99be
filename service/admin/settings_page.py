"""`docs/settings.md`, written from the settings themselves."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from service.settings import PREFIX, GatewaySettings, QueueSettings, WorkerSettings

OF_OTHERS = {
    "NFIG_RUNS": "`nfig train`: folder of what runs keep; by default `~/.cache/nfig/runs`.",
    "NFIG_BASE_URL": "`nfig_client`: the service's address.",
    "NFIG_API_KEY": "`nfig_client`: the key that it sends.",
    "NFIG_FUZZ_EXAMPLES": "`make fuzz`: cases for each operation of the API.",
}
"""Variables that no process of the service reads."""
HEAD = """\
# Settings

<!-- Written by `make pages` from service/settings.py. Do not edit. -->

Gateway and worker read their settings once, at their start. Each can be given in two ways:

- **by environment**, under the name of the tables below;
- **by file**: `NFIG_SETTINGS_FILE` names a TOML file, in which the names are in lower case and
  without `NFIG_`. One file may serve both processes. It is also the way to hand over passwords as
  a mounted secret.

```toml
redis_url = "rediss://redis.internal:6380/0"
max_queue_depth = 500
engine = "triton"
```

What the environment says wins over the file, and the file over the default. A name in the file
that no process knows, and a value that does not fit, stop the start with a message that names the
setting; a secret is never printed. `nfig-admin check` tests all of it against the Redis and the
Triton that are there ([operations.md](operations.md)).

`python -m service.stack` (`make demo`, `make serve`) hands its own environment on to the processes
that it starts, but for the addresses, which it picks itself; its options are told by `--help`.
"""


def settings_page() -> str:
    shared = QueueSettings.model_fields
    worker = _without(WorkerSettings.model_fields, shared)
    gateway = _without(GatewaySettings.model_fields, shared)
    parts = [
        HEAD,
        _table("Of gateway and worker", shared),
        _table("Of the gateway", gateway),
        _table("Of the worker", worker),
        _others(),
    ]
    return "\n".join(parts)


def _without(
    fields: Mapping[str, FieldInfo], others: Mapping[str, FieldInfo]
) -> Mapping[str, FieldInfo]:
    return {name: field for name, field in fields.items() if name not in others}


def _table(heading: str, fields: Mapping[str, FieldInfo]) -> str:
    rows = (
        f"| `{PREFIX}{name.upper()}` | {_values(field)} | {_default(field)} | {_meaning(field)} |"
        for name, field in fields.items()
    )
    head = "| variable | values | default | meaning |\n|---|---|---|---|"
    return f"## {heading}\n\n{head}\n" + "\n".join(rows) + "\n"


def _others() -> str:
    rows = "\n".join(f"| `{name}` | {meaning} |" for name, meaning in OF_OTHERS.items())
    return f"## Of other programs\n\n| variable | of, and meaning |\n|---|---|\n{rows}\n"


def _meaning(field: FieldInfo) -> str:
    assert field.description, "every setting says what it means"
    return " ".join(field.description.split())


def _default(field: FieldInfo) -> str:
    if field.default is None or field.default == "":
        return "none"
    if isinstance(field.default, bool):
        return f"`{str(field.default).lower()}`"
    return f"`{field.default:g}`" if isinstance(field.default, float) else f"`{field.default}`"


def _values(field: FieldInfo) -> str:
    words = _kind(field.annotation)
    return ", ".join([words, *_bounds(field.metadata)])


def _kind(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return " \\| ".join(f"`{value}`" for value in get_args(annotation))
    if get_origin(annotation) in (Union, types.UnionType):
        (kind,) = (each for each in get_args(annotation) if each is not types.NoneType)
        return _kind(kind)
    return {
        str: "text",
        int: "integer",
        float: "number",
        bool: "`true` \\| `false`",
        SecretStr: "secret",
    }[annotation]


def _bounds(metadata: list[Any]) -> list[str]:
    signs = {"ge": "≥", "gt": ">", "le": "≤"}
    return [
        f"{sign} {getattr(bound, name)}"
        for bound in metadata
        for name, sign in signs.items()
        if hasattr(bound, name)
    ]
