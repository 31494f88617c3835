"""Tables as CSV and charts as PNG: the files arrive, and they hold what the page shows."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opened_pages import chromium
from report_views import ARENA, whole_view

from seqarena.report.page.parts import Cell, Heading, Table, number_cell, slug
from seqarena.report.run.page import render_html
from seqarena.report.run.ranking import ranking_section


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_the_ranking_is_saved_in_full() -> None:
    view = whole_view()
    assert view.ranking is not None
    section = ranking_section(view)
    assert section is not None
    saved = rows_of(section.table.csv)
    assert [row["architecture"] for row in saved] == list(ARENA)
    for row, ranked in zip(saved, view.ranking.rows, strict=True):
        assert float(row["bits_per_byte"]) == ranked.mean
        assert float(row["gap_low"]) == ranked.gap_low
        assert float(row["decode_seconds_per_token"]) == ARENA[ranked.architecture][3]
        assert float(row["seed_value_3"]) == ranked.seed_values[2]
    assert saved[0]["p"] == ""
    assert saved[0]["name"] == "gated recurrent unit"


def test_a_table_is_saved_as_it_is_drawn() -> None:
    table = Table(
        "Sizes, by name",
        [Heading("name", "catalog name"), Heading("gap", "interval"), Heading("size", "MB")],
        [
            [Cell('a "b", c', under="abc"), number_cell("−1,230.5", 1, under="1 to 2"), Cell("7")],
            [Cell("d"), number_cell("–", None), Cell("8")],
        ],
    )
    assert table.file_name == "sizes-by-name"
    assert list(csv.reader(io.StringIO(table.csv))) == [
        ["name", "name, catalog name", "gap", "gap, interval", "size, MB"],
        ['a "b", c', "abc", "-1230.5", "1 to 2", "7"],
        ["d", "", "", "", "8"],
    ]


def test_names_of_files_hold_no_path() -> None:
    assert slug("../a b/Ç.") == "a-b"
    assert slug("текст") == "seqarena"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(render_html(whole_view()), encoding="utf-8")
    with chromium() as browser:
        opened = browser.new_page(viewport={"width": 1000, "height": 900}, color_scheme="dark")
        opened.set_default_timeout(60_000)
        opened.goto(path.as_uri())
        opened.wait_for_function("document.documentElement.dataset.drawn")
        yield opened


def saved(page: Any, selector: str) -> tuple[str, bytes]:
    """The name and the content of the file that a button saves."""
    with page.expect_download() as coming:
        page.locator(selector).click()
    return coming.value.suggested_filename, Path(coming.value.path()).read_bytes()


@pytest.mark.slow
def test_a_browser_saves_the_table(page: Any) -> None:
    name, content = saved(page, "[data-csv=ranking]")
    assert name == "shakespeare-ranking.csv"
    section = ranking_section(whole_view())
    assert section is not None
    assert content.decode("utf-8-sig") == section.table.csv
    assert page.locator("table").count() == page.locator("[data-csv]").count()


@pytest.mark.slow
@pytest.mark.parametrize("chart", ["ranking", "validation", "decode_seconds_per_token", "slices-3"])
def test_a_browser_saves_the_chart_on_light_paper(page: Any, chart: str) -> None:
    assert page.locator(".plot").count() == page.locator("[data-png]").count()
    name, content = saved(page, f"[data-png={chart}]")
    assert name == f"shakespeare-{chart}.png"
    corners = page.evaluate(
        """async (bytes) => {
          const picture = await createImageBitmap(new Blob([new Uint8Array(bytes)]));
          const canvas = document.createElement("canvas");
          [canvas.width, canvas.height] = [picture.width, picture.height];
          const pen = canvas.getContext("2d");
          pen.drawImage(picture, 0, 0);
          const all = pen.getImageData(0, 0, picture.width, picture.height).data;
          let drawn = 0;
          for (let i = 0; i < all.length; i += 4) drawn += Math.abs(all[i] - 252) > 30;
          return { width: picture.width, paper: [...all.slice(0, 4)], drawn };
        }""",
        list(content),
    )
    assert corners["width"] >= 900
    assert corners["paper"] == [252, 252, 251, 255]
    assert corners["drawn"] > 2000
