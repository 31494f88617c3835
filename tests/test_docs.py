"""What the documents say is run: examples, commands, the files and names that they mention."""

import ast
import importlib.util
import inspect
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

import seqarena as sa
from seqarena import api
from seqarena.cli import app
from seqarena.mixers.contract import CHECKS
from seqarena.models.catalog import architecture
from seqarena.report.measured.lessons import EXPLORED, OF_FAMILY, OF_SYSTEM

ROOT = Path(__file__).parent.parent
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *(
        ROOT / "docs" / f"{name}.md"
        for name in ("architecture", "claims", "exchange", "measuring", "sessions", "training")
    ),
]
PAGES = [
    *ROOT.glob("*.md"),
    *ROOT.glob("docs/*.md"),
    *ROOT.glob("docs/course/*.md"),
    *ROOT.glob("examples/**/*.py"),
]
EXAMPLE = ROOT / "examples" / "own_mixer.py"
SHARED = {"verbose", "console"}  # the front door's docstring describes them once


def python_block(document: str) -> str:
    text = (ROOT / document).read_text(encoding="utf-8")
    found = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert found is not None
    return found.group(1)


def test_the_readmes_python_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With smaller models and budgets."""
    small = {
        "params": "20k", "tokens": "500", "length": 16, "runs": tmp_path, "dtype": "float32",
        "verbose": False,
    }  # fmt: skip
    search = {"rates": (1e-2,), "seeds": 1, "repeats": 0, "measure": False, "jobs": 2}
    compare, train = api.compare, api.train
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(api, "compare", lambda data, **k: compare(data, **{**k, **small, **search}))
    monkeypatch.setattr(api, "train", lambda data, **k: train(data, **{**k, **small}))
    Path("my_text.txt").write_text("the past is what the state remembers; " * 200, encoding="utf-8")
    names: dict[str, Any] = {}
    exec(python_block("README.md"), names)
    run = names["run"]
    assert {row.architecture for row in run.rows} == {"gru", "mamba", "attention"}
    assert run.ranking.verdict in capsys.readouterr().out
    assert [row.architecture for row in names["bigger"].rows] == ["gru"]
    sizes = [parameter.numel() for parameter in names["module"].parameters()]
    assert sum(sizes) == pytest.approx(1_000_000, rel=0.01)


def test_the_python_on_sessions_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(python_block("docs/sessions.md"), {})
    assert capsys.readouterr().out.splitlines() == ["35 57", *["torch.Size([1, 1024, 256])"] * 3]


def test_the_module_on_the_page_of_training_is_taken(tmp_path: Path) -> None:
    place = tmp_path / "my_layers.py"
    place.write_text(python_block("docs/training.md"), encoding="utf-8")
    result = CliRunner().invoke(app, ["check", f"{place}:CausalConv"])
    assert result.exit_code == 0, result.output
    assert result.output.count(" ok ") == len(CHECKS)


def test_the_python_on_names_runs(capsys: pytest.CaptureFixture[str]) -> None:
    exec(python_block("docs/names.md"), {})
    assert capsys.readouterr().out.splitlines() == ["['GRU', 'GRU', 'GRU', 'Attention']", "4"]


def test_every_name_on_the_page_of_names_is_known() -> None:
    text = (ROOT / "docs" / "names.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)
    named += re.findall(r"--models? (\S+)", text)
    found = [name for names in named for name in names.strip("`").split(",")]
    assert len(found) > 10
    assert [architecture(name).name for name in found] == found


def test_a_name_of_the_front_door_stays_what_it_is_when_its_room_is_imported() -> None:
    """Importing seqarena.measure binds the package to the name of a verb."""
    for name in sa.__all__:
        if importlib.util.find_spec(f"seqarena.{name}") is not None:
            importlib.import_module(f"seqarena.{name}")
    verbs = [name for name in sa.__all__ if name not in {"CATALOG", "__version__"}]
    assert [name for name in verbs if not callable(getattr(sa, name))] == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_name_of_the_front_door_that_a_page_uses_is_there(path: Path) -> None:
    used = set(re.findall(r"\bsa\.(\w+)", path.read_text(encoding="utf-8")))
    assert sorted(used - set(sa.__all__)) == []


def test_the_worked_example_passes_the_contract() -> None:
    result = CliRunner().invoke(app, ["check", f"{EXAMPLE}:EMA"])
    assert result.exit_code == 0, result.output
    assert result.output.count(" ok ") == len(CHECKS)


def test_the_document_shows_the_core_of_the_example() -> None:
    """The same statements, with fewer annotations."""
    shown = function(ast.parse(python_block("CONTRIBUTING.md")), "mix")
    whole = function(ast.parse(EXAMPLE.read_text(encoding="utf-8")), "mix")
    assert [ast.unparse(line) for line in shown.body] == [ast.unparse(line) for line in whole.body]


def function(tree: ast.AST, name: str) -> ast.FunctionDef:
    (found,) = (x for x in ast.walk(tree) if isinstance(x, ast.FunctionDef) and x.name == name)
    return found


def test_without_its_padding_line_it_fails_as_the_document_says(tmp_path: Path) -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    line = next(line for line in text.splitlines() if ".where(" in line)
    place = tmp_path / "ema.py"
    place.write_text(text.replace(line, ""), encoding="utf-8")
    result = CliRunner().invoke(app, ["check", f"{place}:EMA"])
    assert result.exit_code == 1
    assert re.search(r"padding +FAILED", result.output)
    assert result.output.count("FAILED") == 1


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_named_files_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    named = re.findall(r"`((?:src|docs|tests|recipes|benchmarks|examples)/[\w./-]+)`", text)
    rooms = "|".join(path.name for path in (ROOT / "src" / "seqarena").iterdir() if path.is_dir())
    named += [f"src/seqarena/{name}" for name in re.findall(rf"`((?:{rooms})/[\w./-]+)`", text)]
    links = [document.parent / link for link in re.findall(r"\]\((?!http)([\w./-]+)\)", text)]
    assert named or links
    assert [str(path) for path in [*links, *map(ROOT.joinpath, named)] if not path.exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_named_commands_exist(document: Path) -> None:
    verbs = {command.name or command.callback.__name__ for command in app.registered_commands}
    verbs |= {group.name for group in app.registered_groups}
    used = set(re.findall(r"^\s*(?:\$ )?seqarena (\w+)", document.read_text("utf-8"), re.MULTILINE))
    assert used <= verbs


# The documentation's site: `make docs` builds it whole and strictly.


@pytest.fixture(scope="module")
def site() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def pages() -> ModuleType:
    spec = importlib.util.spec_from_file_location("pages", ROOT / "docs" / "pages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def listed(entry: Any) -> list[str]:
    """The files in a piece of the navigation."""
    if isinstance(entry, str):
        return [entry]
    values = entry.values() if isinstance(entry, dict) else entry
    return [name for value in values for name in listed(value)]


def test_every_page_is_in_the_navigation_and_every_entry_is_a_page(
    site: dict[str, Any], pages: ModuleType
) -> None:
    written = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    lessons = {f"course/{lesson.name}.md" for lesson in pages.lessons.lessons()}
    made = {*pages.generated(), *lessons, "course/index.md", "command_line.md"}
    assert sorted(listed(site["nav"])) == sorted(written | made)
    assert all((ROOT / hook).exists() for hook in site["hooks"])


def test_the_site_asks_nothing_of_the_network(site: dict[str, Any]) -> None:
    assert site["theme"]["font"] is False
    assert "extra_javascript" not in site
    assert all((ROOT / "docs" / style).exists() for style in site["extra_css"])
    assert "analytics" not in site["extra"]


def test_links_of_copied_pages_lead_to_pages(pages: ModuleType) -> None:
    made = pages.generated() | {"course/index.md": ""}
    for name in pages.COPIED:
        links = re.findall(r"\]\((?!http)([\w./-]+)\)", made[name])
        assert links or name in ("changelog.md", "security.md")
        assert [
            link for link in links if link not in made and not (ROOT / "docs" / link).exists()
        ] == []


def test_a_tutorial_is_its_example(pages: ModuleType) -> None:
    page = pages.generated()["tutorials/compare_text.md"]
    source = (ROOT / "examples" / "compare_text.py").read_text(encoding="utf-8")
    assert page.startswith("# Which architecture for my text?")
    assert source.partition("import sys")[2].strip() in page


def test_the_command_lines_page_has_every_verb(pages: ModuleType) -> None:
    text = pages.command_line()
    for verb in ("compare", "generate", "measure speed"):
        assert f"## `seqarena {verb}`" in text
    assert "`--label-smoothing X`" in text


def test_the_reference_names_the_whole_front_door() -> None:
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^::: seqarena\.api\.(\w+)$", text, re.MULTILINE)) == sorted(
        api.__all__
    )


def test_samples_link_to_lessons_that_there_are(
    pages: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        pages, "SAMPLES", {"a.html": tmp_path / "measured", "b.html": tmp_path / "none"}
    )
    (tmp_path / "measured").mkdir()
    (tmp_path / "measured" / "measurements.jsonl").touch()
    linked = {one.name for one in (EXPLORED, *OF_FAMILY.values(), *OF_SYSTEM.values())}
    assert linked <= {lesson.name for lesson in pages.lessons.lessons()}
    (made,) = pages.samples().items()
    assert made[0] == "a.html"
    assert set(re.findall(r'href="course/(\w+)\.html"', made[1])) == linked


def undescribed(function: Any) -> list[str]:
    """The parameters that a docstring does not name; everything where there is no docstring."""
    words = inspect.getdoc(function) or ""
    names = set(inspect.signature(function).parameters) - {"self", "request"} - SHARED
    return sorted(name for name in names if f"`{name}`" not in words) if words else ["docstring"]


@pytest.mark.parametrize("name", [n for n in api.__all__ if inspect.isfunction(getattr(api, n))])
def test_a_verb_describes_its_arguments(name: str) -> None:
    assert undescribed(getattr(api, name)) == []


@pytest.mark.parametrize("name", [n for n in api.__all__ if inspect.isclass(getattr(api, n))])
def test_a_class_describes_what_it_offers(name: str) -> None:
    kind = getattr(api, name)
    assert kind.__dict__.get("__doc__")
    for member, value in vars(kind).items():
        if not member.startswith("_") and isinstance(value, property):
            assert value.__doc__, f"{name}.{member}"
        if name in {"Run", "TrainedModel"} and inspect.isfunction(value) and member[0] != "_":
            assert undescribed(value) == [], f"{name}.{member}"


def test_what_all_verbs_share_is_described_once() -> None:
    assert all(f"`{name}" in str(api.__doc__) for name in SHARED)
