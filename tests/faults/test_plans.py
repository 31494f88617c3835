"""A folder keeps its plan: every difference is named, what may differ is said, and names of folders
stay inside of `runs`."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import seqarena as sa
from seqarena.arena.prepare import prepare
from seqarena.arena.requests import CompareRequest, RunRequest, TrainRequest
from seqarena.cli import app
from seqarena.core.names import check_folder_name, folder_name
from seqarena.core.options import build
from seqarena.core.results.records import Provenance, read_records

SMALL = ("--width", "8", "--steps", "2", "--length", "16", "--batch", "2", "--tokenizer", "char")
ONE_SEED = (
    "--rates",
    "1e-3,2e-3",
    "--widen",
    "0",
    "--seeds",
    "1",
    "--repeats",
    "0",
    "--no-measure",
)
COMPARE = ("compare", "text.txt", "--models", "mingru,attention", "--name", "c", *SMALL, *ONE_SEED,
           "--jobs", "1")  # fmt: skip
TRAIN = ("train", "text.txt", "--model", "attention", "--name", "t", *SMALL)


def call(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    place = tmp_path_factory.mktemp("plans")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setattr("seqarena.core.runtime.available_cores", lambda: 1)
        Path("text.txt").write_text("the past is what the state remembers;\n" * 60)
        for words in (COMPARE, TRAIN):
            done = call(*words)
            assert done.exit_code == 0, done.output
        yield place


@pytest.fixture
def here(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(shutil.copytree(finished, tmp_path / "here"))
    monkeypatch.setattr("seqarena.core.runtime.available_cores", lambda: 1)
    return Path.cwd()


DIFFERENT = [
    (COMPARE, ("--dropout", "0.1"), ["--dropout 0 -> 0.1"]),
    (COMPARE, ("--depth", "3"), ["--depth none -> 3"]),
    (COMPARE, ("--depth", "1"), ["--depth none -> 1"]),
    (COMPARE, ("--width", "16", "--length", "8", "--batch", "4"),
     ["--length 16 -> 8", "--width 8 -> 16", "--batch 2 -> 4"]),
    (COMPARE, ("--steps", "3", "--schedule", "constant", "--weight-decay", "0"),
     ["--steps 2 -> 3", "--schedule cosine -> constant", "--weight-decay 0.1 -> 0"]),
    (COMPARE, ("--tokenizer", "byte", "--dtype", "float64", "--dropout", "0.5"),
     ["--tokenizer char -> byte", "--dropout 0 -> 0.5", "-> float64"]),
    (COMPARE, ("--set", "carry_state=true"), ["--set carry_state False -> True"]),
    (TRAIN, ("--option", "num_heads=2"), ["options.num_heads of attention none -> 2"]),
    (TRAIN, ("--option", "num_heads=2", "--depth", "1", "--dropout", "0.2"),
     ["options.num_heads of attention none -> 2", "--depth none -> 1", "--dropout 0 -> 0.2"]),
    (TRAIN, ("--rate", "0.5"), ["--rate 0.006 -> 0.5"]),
]  # fmt: skip


@pytest.mark.parametrize(("words", "more", "named"), DIFFERENT)
def test_every_difference_is_named_and_nothing_is_replaced(
    here: Path, words: tuple[str, ...], more: tuple[str, ...], named: list[str]
) -> None:
    plan = Path("runs", words[words.index("--name") + 1], "plan.json")
    before = plan.read_bytes()
    done = call(*words, *more)
    assert done.exit_code == 2, done.output
    line = done.stderr.strip().splitlines()[-1]
    assert all(one in line for one in named), line
    assert line.count("->") == len(named) + 1  # the legend, and nothing that only follows
    assert "choose another --name" in line
    assert plan.read_bytes() == before


def test_other_data_are_named(here: Path) -> None:
    Path("other.txt").write_text("another text that is as long as the first one;\n" * 60)
    done = call(*(word.replace("text.txt", "other.txt") for word in COMPARE))
    assert done.exit_code == 2
    assert "the data set (text.txt -> other.txt)" in done.stderr
    with Path("text.txt").open("a") as file:
        file.write("and more\n")
    assert "the data set (its content)" in call(*COMPARE).stderr


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--models", "mingru"), "the last call here had attention, which this one leaves out"),
        (("--rates", "1e-3"), "the last call here had rate 0.002, which this one leaves out"),
        (("--first-seed", "1"), "the last call here had seed 0, which this one leaves out"),
    ],
)
def test_what_leaves_the_ranking_is_said(here: Path, more: tuple[str, ...], said: str) -> None:
    done = call(*COMPARE, *more)
    assert done.exit_code == 0, done.output
    assert said in " ".join(done.output.split())


def test_another_number_of_cores_goes_on_and_is_said(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seqarena.core.runtime.available_cores", lambda: 2)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    done = call(*COMPARE, "--seeds", "2")
    assert done.exit_code == 0, done.output
    words = " ".join(done.output.split())
    assert "had 1 thread(s) for each trial, this one has 2: sums are rounded" in words
    assert "4 finished trial(s) of earlier calls were used again" in words
    threads = [
        record.threads
        for path in Path("runs/c/trials").glob("*/records.jsonl")
        for record in read_records(path)
        if isinstance(record, Provenance)
    ]
    assert sorted(threads) == [1, 1, 1, 1, 2, 2]
    back = call(*COMPARE, "--seeds", "2", "--jobs", "2")
    assert back.exit_code == 0, back.output
    assert "6 finished trial(s)" in " ".join(back.output.split())


def test_a_changed_mixer_runs_again_and_is_said(here: Path) -> None:
    own = "from seqarena.mixers.minimal.mingru import MinGRU\nclass Mine(MinGRU):\n    pass\n"
    Path("mine.py").write_text(own)
    words = ("train", "text.txt", "--mixer", "mine.py:Mine", "--name", "m", *SMALL)
    assert call(*words).exit_code == 0
    Path("mine.py").write_text(own + "# changed\n")
    done = call(*words)
    assert done.exit_code == 0, done.output
    assert "the sources of mine have changed: the trials run again" in done.output


NAMES = [
    "../x", "..", ".", "", " ", "...", "/tmp/x", "a/b", "a\\b", "a\0b", "a" * 300,
    "\N{GRINNING FACE}" * 60, "a?", "a*", "\x7f", "a\u2028b",
    "a\nb", "\ud800", "con", "NUL.txt", "COM1", "x.", "x ", " x", "a:b",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_name_stays_inside_of_runs(name: str) -> None:
    for build_request in (
        lambda: RunRequest(name=name),
        lambda: build(CompareRequest, {"name": name}),
        lambda: build(TrainRequest, {"name": name}),
    ):
        with pytest.raises(sa.UserError, match="give the name of a folder inside of runs") as told:
            build_request()
        assert len(str(told.value).splitlines()) == 1
    check_folder_name(folder_name(f"gru-{name}-0"), "a name that is made of anything")
    check_folder_name(folder_name(name), "a name that is made of anything")


def test_names_of_any_script_are_fine() -> None:
    for name in ("my run", "v1.2", "größe", "実験", "a-b_c", "..a", "console"):
        check_folder_name(name, "--name")


@pytest.mark.parametrize("label", ["../../x", "/tmp/x", "..", "a/b", ""])
def test_a_label_stays_inside_of_runs(here: Path, label: str) -> None:
    Path("mine.py").write_text(
        "from seqarena.mixers.minimal.mingru import MinGRU\nclass Mine(MinGRU):\n    pass\n"
    )
    before = sorted(Path().rglob("plan.json"))
    done = call("train", "text.txt", "--mixer", f"{label}=mine.py:Mine", *SMALL)
    assert done.exit_code == 2, done.output
    assert "the label of --mixer" in done.stderr
    assert sorted(Path().rglob("plan.json")) == before


def test_a_text_of_any_name_gets_a_folder(here: Path) -> None:
    text = Path("text.txt").read_text()
    for stem in ("x" * 240, "con", "a:b", "…"):
        Path(f"{stem}.txt").write_text(text)
        done = call("train", f"{stem}.txt", "--model", "mingru", *SMALL)
        assert done.exit_code == 0, done.output
        request = build(CompareRequest, {"data": f"{stem}.txt", "models": "mingru", "width": 8})
        rows = request.lineup.rows()
        name = prepare(request, request.task.config(), rows).plan.name
        check_folder_name(name, "the default")
    for plan in Path("runs").glob("*/plan.json"):
        check_folder_name(json.loads(plan.read_text())["name"], "the default")
