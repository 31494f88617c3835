"""Evaluation on other data: of every task, what it says, and what it refuses."""

import json
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile
from stored import stored

from seqarena.core.errors import UserError
from seqarena.data.splits import split_text
from seqarena.data.text.corpora import embedded_corpus
from seqarena.engine.trained import TrainedModel
from seqarena.tasks.registry import TASKS, task_row
from seqarena.use.evaluate import evaluate_checkpoint

WORDS = [
    "a good film",
    "a bad film",
    "the film was good",
    "truly bad .",
    "good",
    "what a bad bad film",
]
SPLITS = {"train": 36, "dev": 7, "test": 11}  # examples


def rows(split: str) -> list[str]:
    """Sentences of that split, some words of which training never has."""
    start = list(SPLITS).index(split)
    found = [f"{WORDS[(start + k) % len(WORDS)]} n{k % 5}" for k in range(SPLITS[split])]
    return found if split == "train" else [f"{row} new{k}" for k, row in enumerate(found)]


def label(row: str) -> str:
    return "pos" if "good" in row else "neg"


def texts(folder: Path) -> tuple[dict[str, object], Path]:
    """The embedded text, whose test split is cut off its end."""
    other = folder / "held_out.txt"
    other.write_text(split_text(embedded_corpus().text, 0.05, 0.05).test, encoding="utf-8")
    return {"sequence_length": 32, "tokenizer": "byte"}, other


def files(folder: Path, suffix: str, line: Callable[[str], str], head: str = "") -> Path:
    for split in SPLITS:
        content = head + "".join(map(line, rows(split)))
        (folder / f"my_{split}.{suffix}").write_text(content, encoding="utf-8")
    return folder / f"my_test.{suffix}"


def sentences(folder: Path) -> tuple[dict[str, object], Path]:
    return {}, files(folder, "csv", lambda row: f'"{row}",{label(row)}\n', "text,label\n")


def tagged(folder: Path) -> tuple[dict[str, object], Path]:
    def lines(row: str) -> str:
        return "".join(f"{w}\t{'B-x' if len(w) > 3 else 'O'}\n" for w in row.split()) + "\n"

    return {}, files(folder, "bio", lines)


def pairs(folder: Path) -> tuple[dict[str, object], Path]:
    names = {"source": "source", "target": "target"}
    table = files(folder, "tsv", lambda row: f"{row}\t{row.upper()}\n", "source\ttarget\n")
    return {**names, "tokenizer": "word", "metric": "exact"}, table


def summaries(folder: Path) -> tuple[dict[str, object], Path]:
    row = '{{"text": "{0}", "summary": "{1}"}}\n'
    return {}, files(folder, "jsonl", lambda text: row.format(text, label(text)))


def stories(folder: Path) -> tuple[dict[str, object], Path]:
    story = "1 {0}\n2 the cat ran home\n3 where is it?\t{1}\t1\n"
    return {}, files(folder, "txt", lambda row: story.format(row, label(row)))


def passages(folder: Path) -> tuple[dict[str, object], Path]:
    """Of two windows each; one question in seven has no answer."""

    def line(row: str) -> str:
        context, odd = f"it was {row} and then {row} again .", row.startswith("truly")
        start = context.index(row)
        places: dict[str, list] = {"text": [], "answer_start": []}
        if not odd:
            places = {"text": [row], "answer_start": [start]}
        return json.dumps({"context": context, "question": "what ?", "answers": places}) + "\n"

    return {"max_length": 16, "max_question": 4}, files(folder, "jsonl", line)


def recordings(folder: Path) -> tuple[dict[str, object], Path]:
    generator = np.random.default_rng(0)
    for split, count in (("train", 6), ("dev", 2), ("test", 3)):
        for name in ("yes", "no"):
            place = folder / split / name
            place.mkdir(parents=True)
            for k in range(count):
                samples = (3000 * generator.standard_normal(900 + 50 * k)).astype(np.int16)
                wavfile.write(place / f"{k}.wav", 8000, samples)
    return {}, folder / "test"


def utterances(folder: Path) -> tuple[dict[str, object], Path]:
    generator = np.random.default_rng(0)
    for split, count in (("train", 9), ("dev", 3), ("test", 4)):
        (folder / split).mkdir(parents=True)
        for k in range(count):
            samples = (3000 * generator.standard_normal(1800 + 300 * k)).astype(np.int16)
            wavfile.write(folder / split / f"{k}.wav", 8000, samples)
            (folder / split / f"{k}.txt").write_text("yes no yes"[: 3 + 3 * (k % 2)])
    return {"units": "word"}, folder / "test"


def pictures(folder: Path) -> tuple[dict[str, object], Path]:
    generator = np.random.default_rng(0)
    for split, count in (("train", 12), ("val", 4), ("test", 6)):
        pixels = generator.integers(0, 256, (count, 4, 4), dtype=np.uint8)
        labels = (np.arange(count) % 2).astype(np.uint8)
        for name, array in (("images-idx3", pixels), ("labels-idx1", labels)):
            head = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
            (folder / f"{split}-{name}-ubyte").write_bytes(head + array.tobytes())
    return {}, folder / "test-images-idx3-ubyte"


MAKERS = {
    "language": ("gru", texts),
    "masked_language": ("bert", texts),
    "classification": ("bi_gru", sentences),
    "tagging": ("bi_lstm_tagger", tagged),
    "translation": ("gru", pairs),
    "summarising": ("gru", summaries),
    "question_answering": ("bi_gru", stories),
    "reading": ("attention_flow", passages),
    "speech": ("gru", recordings),
    "transcription": ("bi_gru", utterances),
    "pixels": ("gru", pictures),
}
ELSEWHERE = {"events", "forecasting", "windows"}  # their other data are tested beside the tasks
GENERATED = sorted(set(TASKS) - set(MAKERS) - ELSEWHERE)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, Path]]:
    """A task's checkpoint and the file of its test split, made once."""
    known: dict[str, tuple[Path, Path]] = {}

    def make(kind: str) -> tuple[Path, Path]:
        if kind not in known:
            folder = tmp_path_factory.mktemp(kind)
            architecture, maker = MAKERS[kind]
            settings, other = maker(folder)
            data = {} if maker is texts else {"data": str(folder)}
            place = tmp_path_factory.mktemp("run") / "checkpoint"
            known[kind] = stored(place, architecture, {"kind": kind, **data, **settings}), other
        return known[kind]

    return make


Made = Callable[[str], tuple[Path, Path]]


def elsewhere(other: Path, folder: Path) -> Path:
    """The same data under a name that says no split."""
    if other.name.startswith("test-images"):
        for kind in ("images-idx3-ubyte", "labels-idx1-ubyte"):
            (folder / kind).write_bytes((other.parent / f"test-{kind}").read_bytes())
        return folder
    if other.is_dir():
        for file in (file for file in other.rglob("*") if file.is_file()):
            copy = folder / "held_out" / file.relative_to(other)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(file.read_bytes())
        return folder / "held_out"
    copy = folder / f"held_out{other.suffix}"
    copy.write_bytes(other.read_bytes())
    return copy


@pytest.mark.parametrize("kind", MAKERS)
def test_the_own_test_split_as_other_data_gives_the_same_scores(
    kind: str, made: Made, tmp_path: Path
) -> None:
    place, other = made(kind)
    own = evaluate_checkpoint(place)
    again = evaluate_checkpoint(place, str(elsewhere(other, tmp_path)))
    assert again.scores == own.scores
    assert again.metric == own.metric
    assert not again.notes
    assert TrainedModel(place).evaluate(other).scores == own.scores


@pytest.mark.parametrize("kind", [kind for kind in MAKERS if MAKERS[kind][1] is not texts])
def test_of_several_splits_the_test_is_scored_and_that_is_said(kind: str, made: Made) -> None:
    place, other = made(kind)
    own = evaluate_checkpoint(place)
    again = evaluate_checkpoint(place, str(other.parent))
    assert again.scores == own.scores
    assert "its test split is scored" in again.notes[0]


def test_a_folder_without_a_test_is_scored_as_a_whole(made: Made, tmp_path: Path) -> None:
    place, other = made("classification")
    head, *lines = other.read_text().splitlines(keepends=True)
    (tmp_path / "one.csv").write_text("".join((head, *lines)))
    (tmp_path / "two.csv").write_text("".join((head, *lines[:3], *lines)))
    found = evaluate_checkpoint(place, str(tmp_path))
    assert found.scores.num_scored == 2 * SPLITS["test"] + 3
    assert "all 2 files are scored" in found.notes[0]


def test_fields_of_other_names_are_named(made: Made, tmp_path: Path) -> None:
    place, other = made("classification")
    renamed = tmp_path / "other.csv"
    renamed.write_text(other.read_text().replace("text,label", "0,verdict"))
    with pytest.raises(UserError, match="no field 'text'"):
        evaluate_checkpoint(place, str(renamed))
    found = evaluate_checkpoint(place, str(renamed), {"text": "0", "label": "verdict"})
    assert found.scores == evaluate_checkpoint(place).scores
    with pytest.raises(UserError, match="'lowercase': of task classification only format, text"):
        evaluate_checkpoint(place, str(renamed), {"lowercase": "false"})


@pytest.mark.parametrize(
    ("kind", "old", "new", "words"),
    [
        ("classification", ",neg", ",odd", "the model knows no class 'odd': it knows neg, pos"),
        ("tagging", "\tB-x", "\tB-y", "line 2: tag 'B-y' is not in the training data"),
    ],
)
def test_an_answer_that_the_model_cannot_give_is_named(
    kind: str, old: str, new: str, words: str, made: Made, tmp_path: Path
) -> None:
    place, other = made(kind)
    changed = tmp_path / f"odd{other.suffix}"
    changed.write_text(other.read_text().replace(old, new))
    with pytest.raises(UserError, match=words):
        evaluate_checkpoint(place, str(changed))


def test_an_answer_that_training_never_had_counts_as_wrong(made: Made, tmp_path: Path) -> None:
    place, other = made("question_answering")
    changed = tmp_path / "odd.txt"
    changed.write_text(other.read_text().replace("\tneg", "\tnowhere").replace("\tpos", "\tup"))
    found = evaluate_checkpoint(place, str(changed))
    assert found.scores.value == 0
    assert "2 answers that training never had count as wrong: nowhere and up" in found.notes[0]


@pytest.mark.parametrize("kind", GENERATED)
def test_generated_tasks_take_no_other_data(kind: str, tmp_path: Path) -> None:
    row = task_row(kind)
    from seqarena.tasks.registry import task_class

    with pytest.raises(UserError, match=f"task {kind} takes no other data"):
        task_class(kind).evaluation_of(row.config(), {}, "x.txt")


def test_a_sequence_beyond_learned_positions_is_refused(tmp_path: Path) -> None:
    files(tmp_path, "csv", lambda row: f'"{row}",{label(row)}\n', "text,label\n")
    config = {"kind": "classification", "data": str(tmp_path)}
    place = stored(tmp_path / "run" / "checkpoint", "attention_learned", config)
    long = tmp_path / "long.csv"
    long.write_text(f"text,label\n{'good ' * 40},pos\n")
    with pytest.raises(UserError, match="has 40 positions and the model 7 learned ones"):
        evaluate_checkpoint(place, str(long))


def test_pictures_of_an_idx_file_are_answered_one_by_one(made: Made) -> None:
    place, other = made("pixels")
    predictor = TrainedModel(place).predictor()
    items = list(predictor.inputs(other))
    assert items == [f"{other}:{k}" for k in range(6)]
    answers = predictor(items)
    assert answers == TrainedModel(place).predict(items)
    share = evaluate_checkpoint(place).scores.value
    assert share == sum(a.text == str(k % 2) for k, a in enumerate(answers)) / 6


@pytest.mark.parametrize(
    "kind", ["classification", "tagging", "translation", "question_answering", "reading"]
)
def test_what_a_test_file_asks_is_what_is_scored(kind: str, made: Made) -> None:
    """An input a row of the test file, whatever its answers are."""
    place, other = made(kind)
    predictor = TrainedModel(place).predictor()
    outcomes = [attempt.outcome for attempt in predictor.attempts(predictor.inputs(other), 4)]
    assert len(outcomes) == SPLITS["test"]
