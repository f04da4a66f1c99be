"""What every answer says beside itself: limits, safety, and which pages may read it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from service.gateway.rest.response_headers import duration_text

PREFLIGHT = {"access-control-request-method": "POST", "access-control-request-headers": "prefer"}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0ms"), (0.0171, "17ms"), (1, "1s"), (8.64, "8.64s"), (60, "1m0s"), (361.5, "6m1.5s")],
)
def test_durations_are_written_as_openai_writes_them(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


@pytest.mark.parametrize("path", ["/v1/models", "/nothing", "/v1/jobs/x", "/health/live"])
async def test_every_answer_is_safe_in_a_browser(gateway: Any, path: str) -> None:
    headers = (await gateway.client.get(path)).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["content-security-policy"].startswith("default-src 'none'")


async def test_the_documentation_page_still_works(gateway: Any) -> None:
    assert "content-security-policy" not in (await gateway.client.get("/docs")).headers


async def test_the_playground_runs_no_script_but_its_own(gateway: Any) -> None:
    answer = await gateway.client.get("/")
    policy = dict(
        each.split(" ", 1) for each in answer.headers["content-security-policy"].split("; ")
    )
    nothing = {"default-src", "base-uri", "form-action", "frame-ancestors", "trusted-types"}
    assert {name for name, value in policy.items() if value == "'none'"} == nothing
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert "unsafe" not in answer.headers["content-security-policy"]
    # So that it works under this policy: no inline script, no handlers.
    assert not re.findall(
        r"<script(?![^>]* src=\"playground/)|<style|\son\w+=|\sstyle=", answer.text
    )


@pytest.mark.parametrize("name", ["../rest/app.py", "%2e%2e/rest/app.py", "..%2frest%2fapp.py"])
async def test_the_playground_hands_out_no_file_but_its_own(gateway: Any, name: str) -> None:
    assert (await gateway.client.get(f"/playground/{name}")).status_code == 404


async def test_no_page_of_another_origin_is_let_in_by_default(gateway: Any) -> None:
    headers = {"origin": "https://a.example"}
    answer = await gateway.client.get("/v1/models", headers=headers)
    assert not [name for name in answer.headers if name.startswith("access-control")]
    answer = await gateway.client.options("/v1/jobs", headers={**headers, **PREFLIGHT})
    assert answer.status_code == 405


async def test_pages_of_named_origins_are_let_in_and_others_are_not(open_gateway: Any) -> None:
    client = open_gateway(cors_origins="https://a.example, https://b.example").client
    for origin, allowed in [("https://b.example", True), ("https://c.example", False)]:
        for path in ("/v1/models", "/nothing"):
            answer = await client.get(path, headers={"origin": origin})
            assert ("access-control-allow-origin" in answer.headers) == allowed
            assert "access-control-allow-credentials" not in answer.headers
        preflight = {"origin": origin, **PREFLIGHT}
        answer = await client.options("/v1/jobs", headers=preflight)
        assert answer.is_success == allowed


async def test_health_and_metrics_can_be_kept_off_the_public_listener(open_gateway: Any) -> None:
    client = open_gateway(internal_port=9999).client
    for path in ("/health/live", "/health/ready", "/metrics"):
        assert (await client.get(path)).status_code == 404
    assert (await client.get("/v1/models")).status_code == 200
