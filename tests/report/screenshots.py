"""Pictures of a page for the docs, of what a reader sees first or of a part that its id names:

one, light:  python tests/report/screenshots.py runs/NAME/report.html docs/ranking.png
four:        python tests/report/screenshots.py PAGE.html docs/report [#part]
             docs/report-1440-light.png, -1440-dark, -390-light and -390-dark
"""

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

SIZES = {1440: 1800, 390: 1700}  # width: height, pixels
ONE = (1280, 1660)  # of a single picture
LARGEST = 400_000  # bytes of a picture in the repository


def take(page: Path, stem: str, part: str = "#answer") -> list[Path]:
    """The pictures. Raises ValueError for one that is too large to be kept."""
    wanted = [(f"{stem}-{w}-{scheme}.png", (w, h), scheme)
              for w, h in SIZES.items() for scheme in ("light", "dark")]  # fmt: skip
    if stem.endswith(".png"):
        wanted = [(stem, ONE, "light")]
    taken = []
    with sync_playwright() as running:
        browser = running.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        for name, (width, height), scheme in wanted:
            view = browser.new_page(
                viewport={"width": width, "height": height},
                color_scheme=scheme,
                reduced_motion="reduce",  # no picture of a page that still scrolls
            )
            view.set_default_timeout(120_000)
            view.goto(page.resolve().as_uri() + part)
            view.wait_for_function("document.documentElement.dataset.drawn")
            view.evaluate("part => document.querySelector(part).scrollIntoView()", part)
            taken.append(Path(name))
            view.screenshot(path=taken[-1])
            view.close()
            if taken[-1].stat().st_size > LARGEST:
                raise ValueError(f"{taken[-1]} has more than {LARGEST} bytes")
        browser.close()
    return taken


if __name__ == "__main__":
    print(*take(Path(sys.argv[1]), *sys.argv[2:]), sep="\n")
