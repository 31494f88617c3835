"""The lessons of the course as pages: each docs/course/NN_name.py is run, and its outputs go in.

A lesson is a notebook in the percent format, so that it is a script as well. What a tag of a cell
of text makes of it:

    prediction   a box in which the reader writes what he expects; it stays in his browser
    conclusion   opens with that prediction
    exercise     the answer follows, folded: the test of tests/course that has its number

A run is kept in build/course until the lesson or the package changes. `docs/pages.py` puts the
pages where mkdocs finds them. `make docs` runs every lesson, `make course LESSON=3` the third alone
and opens it.
"""

import ast
import functools
import hashlib
import html
import json
import os
import platform
import re
import shutil
import sys
import time
import webbrowser
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parent.parent
COURSE = ROOT / "docs" / "course"
KEPT = ROOT / "build" / "course"
LONGEST = 600  # seconds of one cell: a lesson that hangs ends
QUICK = "SEQARENA_QUICK"  # a lesson that finds it in the environment takes seconds
SCRIPTS = ("plotly.js", "lesson.js")  # in course/
FORMULA = re.compile(r"\$\$(.+?)\$\$|\$([^$\n]+?)\$", re.DOTALL)
CODE = re.compile(r"(```.*?```|`[^`\n]+`)", re.DOTALL)
INDEX = """# The course

Ten lessons tell the story of sequence models from the recurrent network to today, and measure
each step of it. Each asks a question. Write down what you expect: the page keeps it in your browser
and shows it again beside the result. Then read on, or run the lesson, which is one script.
Three exercises end each lesson; their answers are tests.

[The texts' own programs](texts.md) has what the programs of well-known texts really compute.
"""
# Charts come out as data. The page draws them in its own colours, and without a network.
SETUP = """
import plotly.graph_objects as go, plotly.io
plotly.io.renderers.default = "plotly_mimetype"
"""


class Lesson(NamedTuple):
    """One file of the course."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def number(self) -> int:
        return int(self.name[:2])

    @property
    def answers(self) -> Path:
        return ROOT / "tests" / "course" / f"test_{self.name}.py"

    def cells(self) -> Any:
        """The notebook, not run."""
        import jupytext

        return jupytext.read(self.path, fmt="py:percent")

    @property
    def title(self) -> str:
        return self.cells().cells[0].source.splitlines()[0].removeprefix("# ")

    @property
    def question(self) -> str:
        """The paragraph that the lesson opens with."""
        paragraphs = self.cells().cells[0].source.split("\n\n")
        return paragraphs[1].removeprefix("**The question.**").strip()


def lessons() -> list[Lesson]:
    """The lessons in their order."""
    return [Lesson(path) for path in sorted(COURSE.glob("[0-9][0-9]_*.py"))]


def kept(lesson: Lesson, *, quick: bool = False) -> Any | None:
    """The notebook with the outputs of a run of this very lesson and package; None if there is
    none."""
    import nbformat

    path = _place(lesson, quick).with_suffix(".ipynb")
    if not path.exists():
        return None
    notebook = nbformat.read(path, as_version=4)
    return notebook if notebook.metadata["seqarena"]["digest"] == _digest(lesson) else None


def executed(lesson: Lesson, *, quick: bool = False) -> Any:
    """The notebook with its outputs: of a run that was kept, or run now. Raises the kernel's
    CellExecutionError, which shows the cell and its traceback."""
    import nbformat
    from filelock import FileLock

    place = _place(lesson, quick)
    place.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(place.with_suffix(".lock")):
        notebook = kept(lesson, quick=quick)
        if notebook is None:
            print(f"lesson {lesson.name} runs", file=sys.stderr, flush=True)
            notebook = run(lesson, place, quick=quick)
            nbformat.write(notebook, place.with_suffix(".ipynb"))
    return notebook


def _place(lesson: Lesson, quick: bool) -> Path:
    return KEPT / ("quick" if quick else "whole") / lesson.name


def run(lesson: Lesson, place: Path, *, quick: bool) -> Any:
    """Runs a lesson in the folder `place`; notes its seconds and its machine."""
    import nbformat
    from nbclient import NotebookClient

    shutil.rmtree(place, ignore_errors=True)  # a lesson begins without trained models
    place.mkdir(parents=True)
    notebook = lesson.cells()
    notebook.cells.insert(0, nbformat.v4.new_code_cell(SETUP))
    environment = {name: value for name, value in os.environ.items() if name != QUICK}
    environment["PYTHONPATH"] = os.pathsep.join(
        [str(ROOT / "src"), str(COURSE), *filter(None, [os.environ.get("PYTHONPATH")])]
    )
    if quick:
        environment[QUICK] = "1"
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        extra_arguments=["--log-level=ERROR"],
        timeout=LONGEST,
        resources={"metadata": {"path": str(place)}},
    )
    start = time.monotonic()
    client.execute(env=environment)
    seconds = time.monotonic() - start
    del notebook.cells[0]
    notebook.metadata["seqarena"] = {
        "digest": _digest(lesson),
        "seconds": round(seconds),
        "quick": quick,
        "cores": os.process_cpu_count() if sys.version_info >= (3, 13) else os.cpu_count(),
        "python": platform.python_version(),
    }
    return notebook


def _digest(lesson: Lesson) -> str:
    """Of the lesson, what lessons share, the package, and Python."""
    found = hashlib.sha256(_digest_of_all())
    found.update(lesson.path.read_bytes())
    return found.hexdigest()


@functools.cache
def _digest_of_all() -> bytes:
    found = hashlib.sha256(platform.python_version().encode())
    for path in [COURSE / "shared.py", *sorted((ROOT / "src").rglob("*.py"))]:
        found.update(path.read_bytes())
    return found.digest()


def page(lesson: Lesson, notebook: Any) -> str:
    """The Markdown of a lesson, with the outputs that its notebook has."""
    answers = _answers(lesson.answers)
    parts, exercises = [], 0
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        if cell.cell_type == "code":
            parts.append(f"```python\n{cell.source}\n```")
            parts += [_output(output) for output in _joined(cell.outputs)]
            continue
        words = formulas(cell.source)
        if "prediction" in tags or "conclusion" in tags:
            kind = "prediction" if "prediction" in tags else "conclusion"
            words = (
                f'<div class="{kind}" data-lesson="{lesson.name}" markdown>\n\n{words}\n\n</div>'
            )
        parts.append(words)
        if "exercise" in tags:
            exercises += 1
            parts.append(_folded("An answer, as a test", answers[exercises]))
    first, *rest = parts
    ran = _ran(lesson, notebook.metadata.get("seqarena"))
    return "\n\n".join([first, ran, *rest, _around(lesson)])


def index() -> str:
    """The Markdown of the page that lists the lessons."""
    rows = [
        f"{one.number}. **[{one.title}]({one.name}.md)**  \n   {formulas(one.question)}"
        for one in lessons()
    ]
    return "\n\n".join([INDEX, *rows]) + "\n"


def formulas(text: str) -> str:
    """Text with each $formula$ and $$formula$$ outside of code as MathML, which browsers draw."""
    from latex2mathml.converter import convert

    def drawn(found: re.Match[str]) -> str:
        block, inline = found.groups()
        if block is None:
            return f"<span>{convert(inline)}</span>"  # <math> at a line's start would be a block
        return f'\n\n<div class="formula">{convert(block.strip(), display="block")}</div>\n\n'

    pieces = CODE.split(text)
    return "".join(
        piece if index % 2 else FORMULA.sub(drawn, piece) for index, piece in enumerate(pieces)
    )


def _joined(outputs: list[Any]) -> list[dict[str, Any]]:
    """What was printed in pieces, whole; and without what was said on the way."""
    found: list[dict[str, Any]] = []
    for output in map(dict, outputs):
        if output.get("name") == "stderr":
            continue
        if found and output["output_type"] == found[-1]["output_type"] == "stream":
            found[-1]["text"] += output["text"]
        else:
            found.append(output)
    return found


def _output(output: dict[str, Any]) -> str:
    """What a cell printed or drew."""
    if output["output_type"] == "stream":
        return _printed(output["text"])
    data = output.get("data", {})
    figure = data.get("application/vnd.plotly.v1+json")
    if figure is None:
        return _printed(data.get("text/plain", ""))
    title = figure["layout"].get("title", {}).get("text", "")
    if not title:
        raise ValueError("a figure of a lesson needs a title: it is what a screen reader says")
    drawn = {"data": figure["data"], "layout": figure["layout"]}
    content = json.dumps(drawn, separators=(",", ":")).replace("<", "\\u003c")
    return (
        f'<div class="chart" role="img" aria-label="{html.escape(re.sub("<[^>]*>", " ", title))}">'
        f'<script type="application/json">{content}</script></div>'
    )


def _printed(text: str) -> str:
    return f"``` {{.text .output}}\n{text.rstrip()}\n```" if text.strip() else ""


def _answers(path: Path) -> dict[int, str]:
    """The number of an exercise -> the source of its test, which is called test_NUMBER_..."""
    source = path.read_text(encoding="utf-8")
    tests = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
    found = {}
    for test in tests:
        number = re.match(r"test_(\d+)_", test.name)
        if number is not None:
            found[int(number[1])] = ast.get_source_segment(source, test) or ""
    return found


def _folded(title: str, code: str) -> str:
    lines = ["```python", *code.splitlines(), "```"]
    return "\n".join([f'??? example "{title}"', "", *(f"    {line}".rstrip() for line in lines)])


def _ran(lesson: Lesson, ran: dict[str, Any] | None) -> str:
    """What made the numbers of the page."""
    file = f"docs/course/{lesson.name}.py"
    if ran is None:
        words = (
            "This lesson has not run for this site, so that its results are missing: "
            f"<code>make course LESSON={lesson.number}</code> runs it, <code>make docs</code> all."
        )
    else:
        speed = "in fast settings, which show less" if ran["quick"] else "as it is here"
        words = (
            f"Every number below was measured when this page was made: <code>{file}</code> ran "
            f"{speed}, in {ran['seconds']} s on {ran['cores']} cores with Python {ran['python']}. "
            f"Run it yourself: <code>python {file}</code>, or open it as a notebook (Jupytext, "
            "VS Code)."
        )
    return f'<p class="ran">{words}</p>'


def _around(lesson: Lesson) -> str:
    """The way to the lesson before and to the next one, and what draws the charts."""
    names = lessons()
    index = names.index(lesson)
    links = []
    if index:
        links.append(f"[← {names[index - 1].title}]({names[index - 1].name}.md)")
    if index + 1 < len(names):
        links.append(f"[{names[index + 1].title} →]({names[index + 1].name}.md)")
    answers = lesson.answers.relative_to(ROOT).as_posix()
    scripts = "".join(f'<script src="{name}" defer></script>' for name in SCRIPTS)
    return f"The answers are tests, in `{answers}`.\n\n---\n\n{' · '.join(links)}\n\n{scripts}"


if __name__ == "__main__":
    opened = {one.number: one for one in lessons()}.get(int(sys.argv[1]))
    if opened is None:
        sys.exit(f"there is no lesson {sys.argv[1]}: the lessons are 1 to {len(lessons())}")
    address = (ROOT / "site" / "course" / f"{opened.name}.html").as_uri()
    print(f"lesson {opened.number}: {address}")
    webbrowser.open(address)
