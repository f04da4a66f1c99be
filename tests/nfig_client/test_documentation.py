"""The examples of docs/client.md run as they are written, but for the class."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import nfig_client
from tests.nfig_client.gateway_thread import GatewayThread

PAGE = Path(__file__).parents[2] / "docs" / "client.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example_runs(
    example: str, gateway: GatewayThread, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NFIG_BASE_URL", gateway.url)
    shown: list[bytes] = []
    names: dict[str, Any] = {"show": shown.append, **vars(nfig_client)}
    written = example.replace('"cat"', '"red"').replace("http://127.0.0.1:8000", gateway.url)
    exec(compile(written, str(PAGE), "exec"), names)
    if isinstance(names.get("client"), nfig_client.Client):
        names["client"].close()
    for path in tmp_path.iterdir():
        assert path.read_bytes().startswith(b"\x89PNG")
    assert all(content.startswith(b"\x89PNG") for content in shown)


def test_every_exception_is_on_the_page() -> None:
    kinds = {name for name in nfig_client.__all__ if name.endswith("Error")}
    page = PAGE.read_text(encoding="utf-8")
    assert {name for name in kinds if f"`{name}`" not in page} == set()
