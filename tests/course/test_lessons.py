"""Every lesson of the course runs, in fast settings, and its page is drawn in a real browser."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from opened_pages import Opened, chromium, needs_browser

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT / "docs"))
import lessons  # noqa: E402

LESSONS = lessons.lessons()


@pytest.mark.slow
@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
def test_a_lesson_runs_in_fast_settings(lesson: lessons.Lesson) -> None:
    notebook = lessons.executed(lesson, quick=True)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert any(output.output_type == "stream" for output in outputs)
    assert any(output.output_type == "display_data" for output in outputs)
    assert '<script type="application/json">' in lessons.page(lesson, notebook)


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
def test_a_lesson_asks_first_and_ends_with_three_exercises(lesson: lessons.Lesson) -> None:
    cells = lesson.cells().cells
    assert lesson.question.endswith("?")
    kinds = [tag for cell in cells for tag in cell.metadata.get("tags", [])]
    assert kinds[0] == "prediction"
    assert "conclusion" in kinds
    assert kinds[-3:] == ["exercise"] * 3
    assert kinds.count("exercise") == 3
    folded = lessons.page(lesson, lesson.cells()).split("??? example")
    assert len(folded) == 4
    assert all("assert" in answer for answer in folded[1:])


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
def test_no_formula_stays_undrawn(lesson: lessons.Lesson) -> None:
    text = lessons.page(lesson, lesson.cells())
    words = re.sub(r"```.*?```|`[^`]*`", "", text, flags=re.DOTALL)
    assert "$" not in words
    # a command that the converter does not know comes out as it went in
    assert re.findall(r"<m[io]>\\\w+", words) == []


def test_the_list_has_every_lesson_with_its_question() -> None:
    text = lessons.index()
    assert all(f"]({lesson.name}.md)" in text for lesson in LESSONS)
    assert "$" not in text


def test_a_formula_in_code_stays_as_it_is() -> None:
    assert lessons.formulas("`$x$` and $x$").startswith("`$x$` and <span><math")


def test_what_a_cell_prints_in_pieces_is_one_box() -> None:
    cell = LESSONS[0].cells()
    code = next(one for one in cell.cells if one.cell_type == "code")
    printed = {"output_type": "stream", "name": "stdout"}
    code.outputs = [
        {**printed, "text": "one\n"},
        {"output_type": "stream", "name": "stderr", "text": "said on the way"},
        {**printed, "text": "two\n"},
        {"output_type": "execute_result", "data": {"text/plain": "three"}},
    ]
    text = lessons.page(LESSONS[0], cell)
    assert "``` {.text .output}\none\ntwo\n```" in text
    assert "three" in text
    assert "said on the way" not in text


def test_a_lesson_that_has_not_run_says_so() -> None:
    assert "make course LESSON=1" in lessons.page(LESSONS[0], LESSONS[0].cells())


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole documentation, its lessons run in fast settings."""
    place = tmp_path_factory.mktemp("site")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", place]
    environment = os.environ | {lessons.QUICK: "1", "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(
        words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return place


@pytest.mark.slow
@needs_browser
def test_the_pages_of_the_lessons_in_a_browser(site: Path) -> None:
    """In the dark and on a phone: charts are drawn, nothing is fetched, nothing is wider than the
    screen, and a prediction is kept and shown again."""
    with chromium() as browser:
        for lesson in LESSONS:
            address = (site / "course" / f"{lesson.name}.html").as_uri()
            opened = Opened(browser, address, 390, color_scheme="dark")
            view = opened.page
            assert opened.errors == [], lesson.name
            assert opened.outside == [], lesson.name
            assert opened.overflow == 0, lesson.name
            places = view.locator(".chart").count()
            assert view.locator(".chart .main-svg").count() >= places > 0, lesson.name
            view.fill(".prediction textarea >> nth=0", "half of it")
            view.reload()
            opened.drawn()
            assert view.input_value(".prediction textarea >> nth=0") == "half of it"
            assert "half of it" in view.inner_text(".conclusion blockquote >> nth=0")
            opened.context.close()


def test_the_navigation_has_the_titles_of_the_lessons() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for lesson in LESSONS:
        entry = re.search(rf"- (.*): course/{lesson.name}\.md", text)
        assert entry is not None, lesson.name
        assert entry[1].strip('"') == lesson.title
