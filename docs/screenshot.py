"""Takes a picture of the first screen of a page, for the README.

    make demo
    python docs/screenshot.py demo/evaluation/report.html docs/images/report.png

Needs the extra `collect`, which brings Playwright, and Chromium.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

_WIDTH_PX, _HEIGHT_PX = 1200, 900


def main(page_file: str, picture: str) -> None:
    """Writes the picture, as a PNG file.

    Args:
        page_file: an HTML page on disk.
        picture: the file to write.
    """
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        page = browser.new_page(viewport={"width": _WIDTH_PX, "height": _HEIGHT_PX})
        page.goto(Path(page_file).resolve().as_uri())
        page.wait_for_selector(".plot[data-drawn=true]")
        Path(picture).parent.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=picture)
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
