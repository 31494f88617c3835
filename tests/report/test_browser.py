"""The page in a real browser: charts drawn, nothing fetched, no error, no names that overlap."""

import json
import re
import subprocess
from html import unescape
from pathlib import Path

import pytest
from opened_pages import CHROMIUM, needs_browser
from report_views import ARENA, whole_view

from seqarena.report.run.page import render_html

pytestmark = needs_browser
# Appended to the page under test: uses it as a reader would and writes down what is then there.
PROBE = """
<script>
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
const click = (selector) => document.querySelector(selector).click();
const seen = (selector) => [...document.querySelectorAll(selector)];
const overlap = (a, b) =>
  a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
(async () => {
  while (!document.documentElement.dataset.drawn) await wait(50);
  const found = {};
  found.charts = seen(".plot").filter((plot) => plot.querySelector(".main-svg")).length;
  found.places = seen(".plot").length;
  found.requests = performance.getEntriesByType("resource").map((entry) => entry.name);
  found.names = seen(".plot .annotation-text").length;
  found.overlaps = seen(".plot").flatMap((plot) => {
    const texts = [...plot.querySelectorAll(".annotation-text")];
    const boxes = texts.map((text) => text.getBoundingClientRect());
    return boxes.flatMap((box, i) => boxes.slice(i + 1).filter((other) => overlap(box, other)));
  }).length;
  const wide = document.documentElement;
  found.overflow = wide.scrollWidth - wide.clientWidth;
  const curve = "[aria-label^='Validation'] .js-line";
  const stroke = () => getComputedStyle(document.querySelector(curve)).stroke;
  const [ink, line] = [getComputedStyle(wide).color, stroke()];
  click("#theme");
  await wait(400);
  found.themed = ink !== getComputedStyle(wide).color && line !== stroke();
  click("#ranking thead th:nth-child(7) button");
  click("#ranking thead th:nth-child(7) button");
  found.sorted = seen("#ranking tbody th small").map((name) => name.textContent);
  const lines = () => seen(curve).length;
  const before = lines();
  click("[data-show=leaders]");
  await wait(400);
  found.lines = [before, lines()];
  const result = document.createElement("pre");
  result.id = "found";
  result.textContent = JSON.stringify(found);
  document.body.append(result);
})();
</script>
</body>
"""


def opened(tmp_path: Path, html: str, *, width: int) -> tuple[str, str]:
    """The page's final document and the browser's log, at a viewport `width` pixels wide."""
    page = tmp_path / "page.html"
    page.write_text(html, encoding="utf-8")
    assert CHROMIUM is not None
    command = [
        CHROMIUM,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        f"--user-data-dir={tmp_path / 'profile'}",
        "--enable-logging=stderr",
        "--virtual-time-budget=10000",
        f"--window-size={width},1200",
        "--dump-dom",
        page.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("width", [1440, 500])
def test_the_page_works(tmp_path: Path, width: int) -> None:
    html = render_html(whole_view()).replace("</body>", PROBE)
    document, log = opened(tmp_path, html, width=width)
    assert not re.findall(r".*CONSOLE.*", log)
    written = re.search(r'<pre id="found">(.*?)</pre>', document)
    assert written is not None, "the probe did not finish"
    found = json.loads(unescape(written[1]))
    assert found["charts"] == found["places"] == 9
    assert found["requests"] == []
    assert found["names"] == 4 * 9 + 1  # four costs, and the noise floor's name
    assert found["overlaps"] == 0
    assert found["overflow"] <= 0
    assert found["themed"]
    slowest_first = sorted(ARENA, key=lambda name: -ARENA[name][3])
    assert found["sorted"] in (slowest_first, slowest_first[::-1])
    assert found["lines"] == [2 * 9, 2 * 2]


def test_a_console_error_would_be_seen(tmp_path: Path) -> None:
    broken = "<!doctype html><title>x</title><script>console.error('seen')</script>"
    _, log = opened(tmp_path, broken, width=800)
    assert re.search(r"CONSOLE.*seen", log)
