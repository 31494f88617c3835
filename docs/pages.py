"""Pages of the documentation that are made from other files, so that they cannot drift from them.

    index.md, contributing.md, changelog.md, security.md   files of the repository's root
    tutorials/NAME.md                         examples/NAME.py: its docstring, then its code
    command_line.md                           the command line's own help
    course/index.md                           the list of the lessons
    course/NN_name.md                         a lesson with its outputs (docs/lessons.py)
    claims_sample.html, measured_sample.html  pages of claims and of measurements, where these were
                                              measured (make docs); they link to the course

mkdocs calls `on_files`; `mkdocs.yml` names this file under `hooks`.
"""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "docs"))  # mkdocs loads this file alone
import lessons  # noqa: E402

COPIED = {
    "index.md": "README.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
    "security.md": "SECURITY.md",
}
SAMPLES = {  # page -> the folder of its records
    "claims_sample.html": ROOT / "build" / "docs" / "claims-quick",
    "measured_sample.html": ROOT / "build" / "docs" / "measured",
}
LINKS = {  # page -> the sample that it links to, and the words of it
    "claims.md": (
        "claims_sample.html",
        "[A page that was measured for this site](claims_sample.html)",
    ),
    "measuring.md": (
        "measured_sample.html",
        "Measured for this site: [who looks at whom](measured_sample.html#explorer), and "
        "[every architecture in the year of its paper](measured_sample.html#timeline).",
    ),
}


def generated() -> dict[str, str]:
    """The place of each page that is made from another file -> its Markdown."""
    pages = {place: copied(name) for place, name in COPIED.items()}
    for path in sorted((ROOT / "examples").glob("*.py")):
        pages[f"tutorials/{path.stem}.md"] = tutorial(path)
    return pages


def copied(name: str) -> str:
    """A document of the repository's root, with its links as they are from docs/."""
    text = (ROOT / name).read_text(encoding="utf-8")
    text = text.replace("](docs/course/)", "](course/index.md)").replace("](docs/", "](")
    text = re.sub(r"\]\(examples/(?:(\w+)\.py)?\)", _tutorial_link, text)
    for place, other in COPIED.items():
        text = text.replace(f"]({other})", f"]({place})")
    return text


def _tutorial_link(link: re.Match[str]) -> str:
    return f"](tutorials/{link[1] or 'compare_text'}.md)"


def tutorial(path: Path) -> str:
    """An example as a page: the first sentence is its title, the code follows whole."""
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source)
    words = ast.get_docstring(tree) or path.stem
    first, _, rest = words.partition("\n\n")
    title = " ".join(first.split()).rstrip(".")
    code = "".join(source.splitlines(keepends=True)[tree.body[0].end_lineno :]).strip()
    file = path.relative_to(ROOT).as_posix()
    return (
        f"# {title}\n\n{_commands(rest)}\n\n"
        f"`{file}`, which the tests run:\n\n```python\n{code}\n```\n"
    )


def _commands(text: str) -> str:
    """Lines that start with a program's name or are indented, as blocks of code."""
    blocks = []
    for block in text.split("\n\n"):
        is_code = all(re.match(r"    |python |seqarena ", line) for line in block.splitlines())
        blocks.append(f"```text\n{block.strip(chr(10))}\n```" if block and is_code else block)
    return "\n\n".join(blocks)


def command_line() -> str:
    """The help of every verb, as typer writes it in Markdown."""
    words = [sys.executable, "-m", "typer", "seqarena.cli", "utils", "docs", "--name", "seqarena"]
    done = subprocess.run(words, capture_output=True, text=True, encoding="utf-8", check=False)
    if done.returncode:
        raise RuntimeError(f"typer could not write the help: {done.stderr}")
    return done.stdout.replace("# `seqarena`", "# Command line", 1)


def course() -> dict[str, str]:
    """The lessons, the list of them, and what draws their charts. Those that have not run yet run
    now, unless SEQARENA_LESSON names the number of the only one that shall."""
    from plotly.offline import get_plotlyjs

    quick, only = lessons.QUICK in os.environ, os.environ.get("SEQARENA_LESSON")
    pages = {"course/plotly.js": get_plotlyjs(), "course/index.md": lessons.index()}
    for lesson in lessons.lessons():
        if only is None or lesson.number == int(only):
            notebook = lessons.executed(lesson, quick=quick)
        else:
            notebook = lessons.kept(lesson, quick=quick) or lesson.cells()
        pages[f"course/{lesson.name}.md"] = lessons.page(lesson, notebook)
    return pages


def samples() -> dict[str, str]:
    """The sample pages whose records are there."""
    from seqarena.engine.pages import page_of

    return {
        name: page_of(folder, course="course/")
        for name, folder in SAMPLES.items()
        if folder.exists()
    }


def on_files(files: Any, config: Any) -> Any:
    """Adds the pages to those that lie in docs/ (an mkdocs event)."""
    from mkdocs.structure.files import File

    pages = generated() | course() | {"command_line.md": command_line()} | samples()
    for place, content in pages.items():
        files.append(File.generated(config, place, content=content))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Links between docs/ and the root; a sample on its page, where there is one (an mkdocs
    event)."""
    markdown = markdown.replace("](../CONTRIBUTING.md)", "](contributing.md)")
    sample, words = LINKS.get(page.file.src_uri, ("", ""))
    if sample and files.get_file_from_path(sample):
        return f"{markdown}\n{words}\n"
    return markdown
