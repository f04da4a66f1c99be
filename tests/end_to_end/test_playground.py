"""The playground in a real Chromium, before a real stack with the fake engine."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.stack.choice import EngineName
from service.stack.running import RunningStack

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the path")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
QUIET += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
StartStack = Callable[[EngineName | None], AbstractContextManager[RunningStack]]


@pytest.fixture(scope="module")
def url(start_stack: StartStack) -> Iterator[str]:
    with start_stack("fake") as stack:
        yield stack.gateway_url


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Any, url: str) -> Iterator[Any]:
    """The page at `/`; afterwards nothing was complained of, and nobody else was asked."""
    context = browser.new_context(reduced_motion="reduce", viewport={"width": 360, "height": 740})
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


def drawn(page: Any) -> None:
    page.locator("#status", has_text="All in").wait_for()


def test_what_is_downloaded_is_the_image_of_the_same_request(
    page: Any, url: str, tmp_path: Path
) -> None:
    page.locator("#seed").fill("7")
    page.locator("#draw").click()
    drawn(page)
    assert page.locator("#rows tr").count() == 5
    assert page.locator("#rows").inner_text().count("not measured") == 5
    with page.expect_download() as download:
        page.locator("#download").click()
    download.value.save_as(tmp_path / "image.png")
    asked = {"prompt": "0", "seed": 7}
    headers = {"accept": "image/png"}
    image = httpx.post(f"{url}/v1/images/generations", json=asked, headers=headers).content
    assert (tmp_path / "image.png").read_bytes() == image


def test_bands_are_scrubbed_by_keyboard(page: Any) -> None:
    page.locator("#draw").focus()
    page.keyboard.press("Enter")
    drawn(page)
    page.keyboard.press("ArrowLeft")
    assert page.locator("#status").inner_text().startswith("Band 3 of 0 to 4")
    page.locator("#band").focus()
    page.keyboard.press("Home")
    assert page.locator("#status").inner_text().startswith("Band 0 of 0 to 4")


def test_a_variation_keeps_bands(page: Any) -> None:
    page.locator("#draw").click()
    drawn(page)
    page.locator("#keep").fill("2")
    page.locator("#vary button").click()
    page.locator("#rows td", has_text="kept").first.wait_for()
    drawn(page)
    assert page.locator("#rows td", has_text="kept").count() == 2


def test_the_page_fits_a_phone(page: Any) -> None:
    page.locator("#draw").click()
    drawn(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
