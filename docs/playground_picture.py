"""Photographs the playground for docs/images/: `.venv/bin/python docs/playground_picture.py`.

Starts the whole service with the shipped model. Needs Debian's `chromium`.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, ViewportSize, sync_playwright

from service.stack.choice import choose_engine
from service.stack.progress import Progress
from service.stack.running import StackOptions, run_stack

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "images" / "playground.png"
CLASS, SEED = "lorelei", "7"
WINDOW = ViewportSize(width=1280, height=800)
WARM_UPS = 3


def photograph(page: Page) -> None:
    """What a person sees after a drawing; earlier ones have warmed the service."""
    page.get_by_role("radio", name=CLASS).check(force=True)
    for _ in range(WARM_UPS + 1):
        page.get_by_label("Seed", exact=True).fill(SEED)
        page.get_by_role("button", name="Draw").click()
        page.locator("#status", has_text="All in").wait_for()
    page.screenshot(path=PICTURE, full_page=True)


def main() -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("no chromium on the path")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as started:
        options = StackOptions(
            engine=choose_engine(None).engine,
            checkpoint=ROOT / "checkpoints" / "avatars-64",
            repository=ROOT / "model_repository",
            logs=Path(folder),
        )
        with run_stack(options, Progress()) as stack:
            browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            page = browser.new_page(
                viewport=WINDOW, color_scheme="dark", reduced_motion="reduce", locale="en-GB"
            )
            page.goto(stack.gateway_url)
            page.locator("#classes input").first.wait_for(state="attached")
            photograph(page)


if __name__ == "__main__":
    main()
