"""A run folder or checkpoint from elsewhere runs no code: only what the user names does."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import seqarena as sa
from seqarena.cli import app
from seqarena.core import user_code
from seqarena.core.errors import ChangedCodeWarning
from seqarena.core.results.lines import signed, verified
from seqarena.data.text.tokenizers import CharTokenizer
from seqarena.data.text.vocabulary import Vocabulary
from seqarena.serve.sentences import typed_maps

TEXT = "the past is what the state remembers;\n" * 60
SMALL = ("--width", "8", "--steps", "2", "--length", "16", "--batch", "2", "--tokenizer", "char")
EVIL = """
open("ran", "w").close()
from seqarena.mixers.minimal.mingru import MinGRU
from seqarena.tasks.text.language import LanguageTask
class M(MinGRU):
    pass
class T(LanguageTask):
    pass
"""
OWN = "from seqarena.mixers.minimal.mingru import MinGRU\nclass Mine(MinGRU):\n    pass\n"


@pytest.fixture(autouse=True)
def _nothing_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_code, "_ALLOWED", {})
    monkeypatch.setattr(user_code, "_CLASSES", {})


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a text and runs of a model of the catalog, a classifier, and an own mixer."""
    place = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        Path("text.txt").write_text(TEXT, encoding="utf-8")
        Path("mine.py").write_text(OWN, encoding="utf-8")
        rows = [f"the fox {n}\tgood\nthe dog {n}\tbad\n" for n in range(40)]
        Path("labels.tsv").write_text("text\tlabel\n" + "".join(rows), encoding="utf-8")
        for words in (
            ("text.txt", "--model", "mingru", "--name", "r"),
            ("text.txt", "--mixer", "mine.py:Mine", "--name", "own"),
        ):
            done = CliRunner().invoke(app, ["train", *words, *SMALL])
            assert done.exit_code == 0, done.output
        more = ("--task", "classification", "--model", "bi_gru", "--name", "labels", "--steps", "2")
        done = CliRunner().invoke(app, ["train", "labels.tsv", *more, "--width", "8"])
        assert done.exit_code == 0, done.output
    return place


@pytest.fixture
def here(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it as the current folder, with a stranger's file in a run."""
    place = shutil.copytree(trained, tmp_path / "here")
    monkeypatch.chdir(place)
    monkeypatch.syspath_prepend(str(place))
    (place / "runs/r/evil.py").write_text(EVIL, encoding="utf-8")
    (place / "strange_module.py").write_text(EVIL, encoding="utf-8")
    return place


def call(*words: str, text: str = "") -> Result:
    return CliRunner().invoke(app, list(words), input=text)


def is_refused(result: Result, *words: str) -> None:
    assert result.exit_code == 2, (result.output, result.exception)
    (line,) = [one for one in result.stderr.splitlines() if one.startswith("seqarena: ")]
    assert result.stderr.strip().splitlines()[-1] == line  # nothing follows it
    for word in words:
        assert word in line
    assert not Path("ran").exists()


def tamper(run: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Changes about.json of every checkpoint of a run and mends the manifest, as a stranger can."""
    for place in Path("runs", run).glob("trials/*/checkpoint"):
        about = json.loads((place / "about.json").read_text(encoding="utf-8"))
        change(about)
        (place / "about.json").write_text(json.dumps(about), encoding="utf-8")
        manifest = json.loads((place / "manifest.json").read_text(encoding="utf-8"))
        manifest["about.json"] = hashlib.sha256((place / "about.json").read_bytes()).hexdigest()
        (place / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def name_mixer(place: str) -> Callable[[dict[str, Any]], None]:
    def change(about: dict[str, Any]) -> None:
        for layer in about["model"]["stack"]["layers"]:
            layer["mixer"] = place

    return change


def name_system(place: str) -> Callable[[dict[str, Any]], None]:
    def change(about: dict[str, Any]) -> None:
        problem = {"num_outputs": 8, "vocab_size": 8, "causal": True, "max_length": 16}
        about["model"] = {"system": place, "problem": problem, "width": 8, "options": {}}

    return change


def name_task(place: str) -> Callable[[dict[str, Any]], None]:
    return lambda about: about["task"].update(kind=place)


PLACES = [
    "runs/r/evil.py:M", "strange_module:M", "this:s", "antigravity:fly",
    "seqarena.core.user_code:importlib", "seqarena.core.user_code:Path", "seqarena.__main__:main",
    "seqarena.mixers.base:Mixer", "seqarena.cli:app", "seqarena.mixers.minimal.mingru:torch.nn.GRU",
    "seqarena.nothing:M", "seqarena..evil:M", "seqarena/../runs/r/evil.py:M", "seqarena.py:M",
    "os:system", "M", ":M", "", "runs/r/evil.py:", "strange_module:M:M", "a\nb.py:M",
]  # fmt: skip
VERBS = {
    "generate": ("generate", "runs/r"),
    "evaluate": ("evaluate", "runs/r"),
    "export": ("export", "runs/r", "--to", "c"),
    "serve": ("serve", "runs/r", "--port", "0", "--dry-run"),
    "evaluate other text": ("evaluate", "runs/r", "text.txt"),
    "predict": ("predict", "runs/r", "a"),
    "start": ("train", "text.txt", "--start-from", "runs/r", "--steps", "2", "--length", "16"),
    "measure": ("measure", "maps", "--run", "runs/r", "--text", "the past"),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", [name_mixer, name_system])
def test_a_place_in_a_checkpoint_runs_nothing(here: Path, name: Any, place: str) -> None:
    tamper("r", name(place))
    is_refused(call("generate", "runs/r"))
    for path in ("runs/r", next(Path("runs/r/trials").iterdir())):
        with pytest.raises(sa.UserError):
            sa.load(path).module()
    assert not Path("ran").exists()


@pytest.mark.parametrize("words", VERBS.values(), ids=VERBS)
@pytest.mark.parametrize("name", [name_mixer, name_system, name_task])
def test_no_verb_runs_a_strangers_file(here: Path, name: Any, words: tuple[str, ...]) -> None:
    tamper("r", name("runs/r/evil.py:" + ("T" if name is name_task else "M")))
    result = call(*words)
    assert not Path("ran").exists()
    if result.exit_code:  # a checkpoint's task does not matter to generate
        is_refused(result)
    else:
        assert name is name_task


def test_a_task_of_answers_runs_nothing(here: Path) -> None:
    tamper("labels", name_task("runs/r/evil.py:T"))
    is_refused(call("predict", "runs/labels", "the fox"), "evil.py:T", "--trust-code")
    tamper("labels", name_task("language"))
    is_refused(call("predict", "runs/labels", "the fox"))


def test_a_report_and_its_server_run_nothing(here: Path) -> None:
    tamper("r", name_mixer("runs/r/evil.py:M"))
    plan = Path("runs/r/plan.json")
    text = verified(plan.read_text())
    plan.write_text(
        signed(text.replace("seqarena.mixers.minimal.mingru:MinGRU", "runs/r/evil.py:M"))
    )
    assert call("report", "runs/r").exit_code == 0
    said = typed_maps(Path("runs/r"), "the past")
    assert not Path("ran").exists()
    assert said["maps"] == []
    tamper("own", name_mixer("runs/r/evil.py:M"))
    said = typed_maps(Path("runs/own"), "the past")
    assert "evil.py:M" in said["words"]
    assert not Path("ran").exists()


def test_a_comparison_in_a_strangers_folder_runs_nothing_of_it(here: Path) -> None:
    plan = Path("runs/r/plan.json")
    text = verified(plan.read_text())
    plan.write_text(
        signed(text.replace("seqarena.mixers.minimal.mingru:MinGRU", "runs/r/evil.py:M"))
    )
    is_refused(call("train", "text.txt", "--model", "mingru", "--name", "r", *SMALL), "mixer")


def test_a_recipe_runs_its_own_code_only_when_it_is_trusted(here: Path) -> None:
    options = 'data = "text.txt"\nwidth = 8\nsteps = 2\nlength = 16\ntokenizer = "char"\n'
    for line in ('mixer = "runs/r/evil.py:M"', 'task = "runs/r/evil.py:T"'):
        Path("x.toml").write_text(f'verb = "train"\n[options]\n{options}{line}\n')
        is_refused(call("recipe", "x.toml"), "evil.py", "--trust-code")
    start = 'data = "text.txt"\nstart_from = "runs/own"\ntrust_code = true\n'
    Path("x.toml").write_text(f'verb = "train"\n[options]\n{start}')
    is_refused(call("recipe", "x.toml"), "trust_code, which only you can")
    Path("x.toml").write_text(f'verb = "train"\n[options]\n{options}mixer = "mine.py:Mine"\n')
    assert call("recipe", "x.toml", "--trust-code").exit_code == 0


def test_an_own_mixer_is_named_or_trusted(here: Path) -> None:
    is_refused(
        call("generate", "runs/own"), "mine.py:Mine", "--mixer 'mine.py:Mine'", "--trust-code"
    )
    is_refused(call("evaluate", "runs/own", "--mixer", "gone.py:Mine"), "gone.py", "not exist")
    for words in (("--trust-code",), ("--mixer", "mine.py:Mine")):
        user_code._ALLOWED.clear()
        assert call("generate", "runs/own", "--count", "3", *words).exit_code == 0
        assert call("evaluate", "runs/own", *words).exit_code == 0
        start = ("--start-from", "runs/own", "--steps", "2", "--length", "16",
                 "--set", "tokenizer=char")  # fmt: skip
        done = call("train", "text.txt", "--name", f"s{len(words)}", *start, *words)
        assert done.exit_code == 0, done.output
        done = call("measure", "maps", "--run", "runs/own", "--text", "the past", *words)
        assert done.exit_code == 0, done.output


def test_a_moved_file_is_found_by_its_content(here: Path) -> None:
    Path("elsewhere").mkdir()
    Path("mine.py").rename("elsewhere/renamed.py")
    is_refused(call("generate", "runs/own", "--trust-code"), "'mine.py' does not exist")
    done = call("generate", "runs/own", "--mixer", "elsewhere/renamed.py:Mine", "--count", "3")
    assert done.exit_code == 0, done.output


def test_a_changed_file_is_refused_unless_it_is_named(here: Path) -> None:
    Path("mine.py").write_text(OWN + "open('ran', 'w').close()\n", encoding="utf-8")
    is_refused(call("generate", "runs/own", "--trust-code"), "mine.py has changed", "--mixer")
    with pytest.warns(ChangedCodeWarning, match=r"mine.py has changed"):
        done = call("generate", "runs/own", "--mixer", "mine.py:Mine", "--count", "3")
    assert done.exit_code == 0, done.output
    assert Path("ran").exists()


def test_planted_byte_code_does_not_run(here: Path) -> None:
    """Python would run byte code of the right time and size in place of the source."""
    import importlib._bootstrap_external as imports
    import importlib.util

    facts = Path("mine.py").stat()
    code = compile("open('ran', 'w')", "mine.py", "exec")
    data = imports._code_to_timestamp_pyc(code, int(facts.st_mtime), facts.st_size)  # pyright: ignore
    planted = Path(importlib.util.cache_from_source("mine.py"))
    planted.parent.mkdir(exist_ok=True)
    planted.write_bytes(data)
    assert call("generate", "runs/own", "--trust-code", "--count", "3").exit_code == 0
    assert not Path("ran").exists()


def test_from_python(here: Path) -> None:
    with pytest.raises(sa.UserError, match="name it yourself"):
        sa.load("runs/own").generate(count=3)
    with pytest.raises(sa.UserError, match="name it yourself"):
        _ = sa.open_run("runs/own").best.module()
    assert sa.load("runs/own", mixer="mine.py:Mine").generate(count=3)
    user_code._ALLOWED.clear()
    assert sa.load("runs/own", trust_code=True).generate(count=3)
    user_code._ALLOWED.clear()
    assert sa.open_run("runs/own", trust_code=True).best.generate(count=3)
    user_code._ALLOWED.clear()
    mine = user_code.module_from_file("mine.py", "mixer").Mine
    assert sa.load("runs/own", mixer=mine).generate(count=3)


def test_an_own_task_is_named_or_trusted(here: Path) -> None:
    Path("own_task.py").write_text(
        "from seqarena.tasks.text.language import LanguageTask\n"
        "from seqarena.tasks.configs import LanguageConfig\n"
        "class Config(LanguageConfig):\n    kind: str = 'own_task.py:Mine'\n"
        "class Mine(LanguageTask):\n    Config = Config\n"
    )
    words = ("--task", "own_task.py:Mine", "--model", "mingru", "--name", "task")
    done = call("train", "text.txt", *words, *SMALL)
    assert done.exit_code == 0, done.output
    user_code._ALLOWED.clear()
    is_refused(call("evaluate", "runs/task"), "own_task.py:Mine")
    assert call("evaluate", "runs/task", "--trust-code").exit_code == 0
    with Path("own_task.py").open("a") as file:
        file.write("# changed\n")
    user_code._ALLOWED.clear()
    is_refused(call("evaluate", "runs/task", "--trust-code"), "own_task.py has changed")
    with pytest.warns(ChangedCodeWarning):
        assert call("evaluate", "runs/task", "--mixer", "own_task.py:Mine").exit_code == 0


def test_workers_run_an_own_mixer_and_a_second_call_goes_on(here: Path) -> None:
    words = ("compare", "text.txt", "--models", "mingru", "--mixer", "mine.py:Mine", "--rates",
             "1e-3", "--seeds", "1", "--repeats", "0", "--no-measure", "--jobs", "1",
             "--name", "c")  # fmt: skip
    done = call(*words, *SMALL)
    assert done.exit_code == 0, done.output
    assert "mine" in done.output
    again = call(*words, *SMALL)
    assert again.exit_code == 0, again.output
    assert "2 finished trial(s) of earlier calls were used again" in again.output


def test_a_vocabulary_larger_than_the_models_is_said(here: Path) -> None:
    tokenizer = CharTokenizer("".join(map(chr, range(10, 700))))
    tamper("r", lambda about: about["artifacts"].update(tokenizer=tokenizer.to_json()))
    is_refused(call("generate", "runs/r", "--prompt", "\u0200"), "690 tokens")
    Path("other.txt").write_text("another text;\n" * 90)
    is_refused(call("evaluate", "runs/r", "other.txt"), "vocabulary is another one")
    words = Vocabulary([str(number) for number in range(900)])
    tamper("labels", lambda about: about["artifacts"].update(vocabulary=words.to_json()))
    is_refused(call("predict", "runs/labels", "899"), "vocabulary is another one")
    assert call("predict", "runs/labels", "nothing of these").exit_code == 0
