"""The parts of a page: templates draw them, escape every text, and hold all of the markup."""

import ast
import json
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest
from jinja2 import UndefinedError
from test_html import Page as Read

import seqarena.report
from seqarena.report.claims.page import render_ledger
from seqarena.report.forecast.page import render_forecast
from seqarena.report.measured.drawing import Arrow, Drawing, Label, Line, Node
from seqarena.report.page.parts import (
    Cell,
    Heading,
    Section,
    Table,
    headings,
    make_page,
    number_cell,
)
from seqarena.report.page.shell import environment, script_json
from seqarena.report.run.page import render_html

REPORT = Path(seqarena.report.__file__).parent
TEMPLATES = Path(str(files("seqarena.report.page"))) / "templates"
# plotly writes its own texts with these
PLOTLY_TAGS = {"b", "br", "extra"}
EVIL = '"><img src=x onerror=alert(1)>'


# whose imports define every section
PAGES = (render_html, render_ledger, render_forecast)


def sections(kind: type[Section] = Section) -> Iterator[type[Section]]:
    """Every section that a page may have."""
    for below in kind.__subclasses__():
        yield below
        yield from sections(below)


def drawn(macro: str, value: object, template: str = "parts.html") -> str:
    return str(getattr(environment().get_template(template).module, macro)(value))


def texts(path: Path) -> Iterator[str]:
    """The strings of a Python file without its docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    statements = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        text = node.value if isinstance(node, ast.Constant) else None
        if isinstance(text, str) and id(node) not in statements:
            yield text


@pytest.mark.parametrize("path", sorted(REPORT.rglob("*.py")), ids=lambda path: path.stem)
def test_python_holds_no_markup(path: Path) -> None:
    found = {tag for text in texts(path) for tag in re.findall(r"</?([a-z][a-z0-9]*)", text)}
    assert found <= PLOTLY_TAGS


def test_every_section_has_its_template_and_every_template_is_used() -> None:
    drawn_by = {kind.template for kind in sections()}
    names = {path.relative_to(TEMPLATES).as_posix() for path in TEMPLATES.rglob("*.html")}
    sources = "".join(path.read_text(encoding="utf-8") for path in TEMPLATES.rglob("*.html"))
    used = set(re.findall(r'(?:extends|import) "(.*?)"', sources)) | {"page.html"}
    assert names == drawn_by | used


def test_no_template_trusts_a_text() -> None:
    for path in TEMPLATES.rglob("*.html"):
        assert not re.search(r"\bsafe\b|autoescape", path.read_text(encoding="utf-8")), path
    assert environment().autoescape is True


def test_a_missing_value_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        environment().from_string("{{ absent }}").render()


def test_json_closes_no_script() -> None:
    value = {"a": "</script><!-- & \u2028"}
    for written in (script_json(value), script_json(json.dumps(value, ensure_ascii=False))):
        assert not set(written) & set("<>&\u2028")
        assert json.loads(written) == value


def test_a_table_aligns_numbers_and_escapes_texts() -> None:
    table = Table(
        EVIL,
        headings("x", Heading("y", "ms")),
        [[Cell(EVIL, EVIL), number_cell("1", 1.0, best=True)]],
        sortable=True,
        shaded=frozenset({0}),
    )
    html = drawn("table", table)
    assert '<td class="number best" data-sort="1.0">1</td>' in html
    assert '<th scope="row" data-sort=' in html
    assert '<tr class="tied">' in html
    assert html.count("<button") == 3  # two headings, and the one that saves it
    assert "<img" not in html
    read = Read(html)
    assert read.open == []
    assert read.words.count(EVIL) == 2  # caption and cell


def test_a_column_with_one_text_is_no_column_of_numbers() -> None:
    rows = [[Cell("a"), number_cell("1", 1)], [Cell("b"), Cell("none")]]
    assert Table("t", headings("x", "y"), rows).numeric == [False, False]
    assert Table("t", headings("x", "y"), rows[:1]).numeric == [False, True]
    assert Table("t", headings("x", "y"), []).numeric == [False, False]


def test_cells_draw_what_they_hold() -> None:
    html = drawn("cell_content", Cell("gru", under=EVIL, wraps=True, colour="red"))
    assert 'style="--own:red"' in html
    assert '<small class="under">' in html
    assert "<img" not in html
    assert '<a href="#x">gru</a>' in drawn("cell_content", Cell("gru", href="#x"))


def test_a_drawing_holds_its_shapes() -> None:
    shapes = [Node(1, 2, "h", "T"), Label(3, 4, EVIL, "quiet"), Line(0, 0, 1, 1)]
    html = drawn("drawing", Drawing(EVIL, "w", 100, 50, shapes), "measured/drawing.html")
    read = Read(html)
    assert read.open == []
    assert "hT" in "".join(read.text)
    assert "<img" not in html
    arrow = Arrow(0, 0, 10, 0, width=2)
    assert arrow.foot == (4, 0)
    assert arrow.head == "10.0,0.0 4.0,3.6 4.0,-3.6"


def test_a_page_leaves_out_absent_sections() -> None:
    assert make_page("p", [None, None]).sections == ()
