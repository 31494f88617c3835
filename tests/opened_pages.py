"""Pages in a real browser: what tests ask of an open page."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
NO_CHROMIUM = "no chromium is installed: the page was not opened in a browser"
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM)
IN_A_BROWSER = [pytest.mark.slow, needs_browser]


@contextmanager
def chromium() -> Iterator[Any]:
    """A running browser. Skips the test where it or playwright is not installed."""
    if CHROMIUM is None:
        pytest.skip(NO_CHROMIUM)
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as running:
        launched = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


class Opened:
    """A page in a browser, with what it complained of and what it asked for."""

    def __init__(self, browser: Any, address: str, width: int, **more: Any) -> None:
        """`more` are options of playwright's context."""
        self.context = browser.new_context(viewport={"width": width, "height": 900}, **more)
        self.page = self.context.new_page()
        self.page.set_default_timeout(60_000)
        self.errors: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda said: self.errors.append(said.text))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(address)
        self.drawn()

    def drawn(self) -> None:
        self.page.wait_for_function("document.documentElement.dataset.drawn")

    def traces(self, figure: str) -> list[dict[str, Any]]:
        """What plotly draws at that place: name, x, y and whether it is shown."""
        return self.page.evaluate(
            """(figure) => document.querySelector(`[data-figure="figure-${figure}"].plot`).data.map(
                 ({name, x, y, visible}) => ({name, x: [...x], y: [...y], visible}))""",
            figure,
        )

    def axis(self, figure: str, axis: str) -> str:
        return self.page.evaluate(
            """([figure, axis]) =>
                 document.querySelector(`[data-figure="figure-${figure}"].plot`)._fullLayout[axis].type""",
            [figure, axis],
        )

    @property
    def outside(self) -> list[str]:
        """What it asked for beyond its own files."""
        own = ("file:", "blob:", "data:")
        return [address for address in self.requests if not address.startswith(own)]

    @property
    def overflow(self) -> int:
        return self.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
