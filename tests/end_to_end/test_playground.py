"""The playground in a real Chromium, before a real stack."""

from __future__ import annotations

import io
import json
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

axe = pytest.importorskip("axe_playwright_python.sync_playwright")
playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the path")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
QUIET += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
ROOT = Path(__file__).parents[2]
PHONE, DESKTOP = {"width": 360, "height": 740}, {"width": 1280, "height": 800}
BANDS = 6
"""Of the tiny checkpoint."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield opened
        opened.close()


@contextmanager
def visit(browser: Any, url: str, **context_options: Any) -> Iterator[Any]:
    """The page at `/`; afterwards nothing was complained of, and nobody else was asked."""
    options = {"reduced_motion": "reduce", "viewport": PHONE} | context_options
    context = browser.new_context(**options)
    opened = context.new_page()
    complaints: list[str] = []
    asked: list[str] = []
    opened.on("console", lambda message: complaints.append(message.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto(url)
    opened.locator("#classes input").first.wait_for(state="attached")
    yield opened
    context.close()
    assert not complaints
    assert not [address for address in asked if not address.startswith((url, f"blob:{url}"))]


@pytest.fixture
def page(browser: Any, url: str) -> Iterator[Any]:
    with visit(browser, url) as opened:
        yield opened


def events_of(route: Any) -> list[str]:
    """The event log that the page asks for, an event each, once the job is over."""
    text: str = route.fetch().text()
    return [event + "\n\n" for event in text.split("\n\n") if event]


def answer(route: Any, events: list[str]) -> None:
    route.fulfill(body="".join(events), content_type="text/event-stream")


def drawn(page: Any) -> None:
    page.locator("#status", has_text="All in").wait_for()


def downloaded(page: Any, folder: Path) -> bytes:
    with page.expect_download() as download:
        page.locator("#download").click()
    download.value.save_as(folder / "image.png")
    return (folder / "image.png").read_bytes()


def test_what_is_downloaded_is_the_image_of_the_same_request(
    page: Any, url: str, tmp_path: Path
) -> None:
    page.locator("#seed").fill("7")
    page.locator("#draw").click()
    drawn(page)
    assert page.locator("#rows tr").count() == BANDS
    assert page.locator("#rows").inner_text().count("not measured") == BANDS
    shown = downloaded(page, tmp_path)
    asked = {"prompt": "ant", "seed": 7}
    headers = {"accept": "image/png"}
    image = httpx.post(f"{url}/v1/images/generations", json=asked, headers=headers).content
    assert shown == image


def test_bands_are_scrubbed_by_keyboard(page: Any) -> None:
    page.locator("#draw").focus()
    page.keyboard.press("Enter")
    drawn(page)
    page.keyboard.press("ArrowLeft")
    assert page.locator("#status").inner_text().startswith("Band 4 of 0 to 5")
    page.locator("#band").focus()
    page.keyboard.press("Home")
    assert page.locator("#status").inner_text().startswith("Band 0 of 0 to 5")


def test_a_variation_keeps_bands(page: Any) -> None:
    page.locator("#draw").click()
    drawn(page)
    page.locator("#keep").fill("2")
    page.locator("#vary button").click()
    page.locator("#rows td", has_text="kept").first.wait_for()
    drawn(page)
    assert page.locator("#rows td", has_text="kept").count() == 2


@pytest.mark.parametrize("scheme", ["dark", "light"])
@pytest.mark.parametrize("viewport", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_everybody_can_use_it_and_nothing_overflows(
    browser: Any, url: str, scheme: str, viewport: dict[str, int]
) -> None:
    with visit(browser, url, color_scheme=scheme, viewport=viewport) as page:
        page.locator("#draw").click()
        drawn(page)
        assert not axe.Axe().run(page).response["violations"]
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= viewport["width"]


def test_a_cut_connection_goes_on_after_the_last_event(page: Any) -> None:
    resumed_after: list[str | None] = []
    seen: list[str] = []

    def cut(route: Any) -> None:
        resumed_after.append(route.request.headers.get("last-event-id"))
        if len(resumed_after) > 1:
            route.continue_()
            return
        seen.extend(events_of(route))
        answer(route, [*seen[:3], seen[3][:20]])

    page.route("**/events", cut)
    page.locator("#draw").click()
    drawn(page)
    last = next(line for line in seen[2].splitlines() if line.startswith("id:"))
    assert resumed_after == [None, last.removeprefix("id:").strip()]
    assert page.locator("#rows .bar").count() == BANDS


def test_stopping_keeps_what_is_shown_and_cancels_the_job(page: Any) -> None:
    held: list[Any] = []

    def hold(route: Any) -> None:
        held.append(route)
        if len(held) == 1:
            events = events_of(route)
            first = next(i for i, event in enumerate(events) if "band.completed" in event)
            answer(route, events[: first + 1])

    page.route("**/events", hold)
    with page.expect_request(lambda request: "last-event-id" in request.headers):
        page.locator("#draw").click()
    page.locator("#picture").wait_for()
    assert "Connection lost" in page.locator("#status").inner_text()
    with page.expect_request("**/cancel"):
        page.locator("#stop").click()
    page.locator("#status", has_text="Stopped").wait_for()
    held[1].continue_()
    page.locator("#more").wait_for()
    assert page.locator("#status").inner_text().startswith("Band 0")
    assert '"bands":1' in page.locator("#call").inner_text()


def test_the_copied_call_draws_what_is_on_show(browser: Any, url: str, tmp_path: Path) -> None:
    permissions = ["clipboard-read", "clipboard-write"]
    with visit(browser, url, permissions=permissions) as page:
        page.locator("#draw").click()
        drawn(page)
        page.locator("#copy").click()
        page.locator("#copied", has_text="Copied").wait_for()
        words = shlex.split(page.evaluate("navigator.clipboard.readText()"))
        shown = downloaded(page, tmp_path)
    assert words[:2] == ["curl", f"{url}/v1/jobs"]
    headers = dict(
        word.split(": ") for before, word in zip(words, words[1:], strict=False) if before == "-H"
    )
    job = httpx.post(words[1], headers=headers, content=words[words.index("-d") + 1]).json()
    assert httpx.get(job["images"][0]["url"]).content == shown


def test_a_measured_speedup_is_shown(page: Any) -> None:
    def measured(event: str) -> str:
        lines = event.splitlines()
        for i, line in enumerate(lines):
            if line.startswith("data:") and "band.completed" in event:
                data = json.loads(line.removeprefix("data:"))
                data["speedup"] = {"as_published": 1.254, "same_code": None}
                lines[i] = f"data: {json.dumps(data)}"
        return "\n".join(lines) + "\n\n"

    page.route("**/events", lambda route: answer(route, [measured(e) for e in events_of(route)]))
    page.locator("#draw").click()
    drawn(page)
    assert page.locator("#rows").inner_text().count("1.25× / not measured") == BANDS


def test_every_class_of_the_shipped_model_has_its_picture(url: str) -> None:
    models = httpx.get(f"{url}/playground/gateway.json").json()["class_pictures"]
    assert models == ["avatars-64"]
    sprite = httpx.get(f"{url}/playground/classes/avatars-64.webp").content
    config = json.loads((ROOT / "checkpoints" / "avatars-64" / "config.json").read_text())
    side = config["tokenizer"]["image_size"]
    assert Image.open(io.BytesIO(sprite)).size == (side * len(config["class_names"]), side)
