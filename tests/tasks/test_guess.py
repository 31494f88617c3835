"""What task some data look like, and what is said where none was named."""

import json
import tarfile
from pathlib import Path

import pytest

from seqarena.core.errors import UserError
from seqarena.tasks.configs import ClassificationConfig, LanguageConfig
from seqarena.tasks.guess import build_guessed, guess_task

REVIEWS = [("good", "a warm, funny film"), ("bad", "two hours of noise"), ("good", "see it twice")]
PROSE = "It was the best of times, it was the worst of times.\n" * 60


def rows(count: int = 30) -> list[tuple[str, str]]:
    return [(label, f"{text} {k}") for k, (label, text) in enumerate(REVIEWS * (count // 3))]


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def write_jsonl(path: Path, entries: list) -> Path:
    return write(path, "".join(json.dumps(entry) + "\n" for entry in entries))


def table(path: Path, text: str = "text", label: str = "label", separator: str = ",") -> Path:
    lines = [separator.join((text, label))]
    lines += [separator.join((f'"{words}"', name)) for name, words in rows()]
    return write(path, "\n".join(lines) + "\n")


def guessed(path: Path) -> tuple[str, dict]:
    guess = guess_task(path)
    assert guess is not None
    return guess.task, guess.settings


@pytest.mark.parametrize("suffix", ["csv", "tsv"])
def test_a_table_of_text_and_label(tmp_path: Path, suffix: str) -> None:
    separator = {"csv": ",", "tsv": "\t"}[suffix]
    assert guessed(table(tmp_path / f"a.{suffix}", separator=separator)) == ("classification", {})


def test_columns_under_other_names_become_settings(tmp_path: Path) -> None:
    path = table(tmp_path / "reviews.csv", "review", "sentiment")
    assert guessed(path) == ("classification", {"text": "review", "label": "sentiment"})


def test_two_sentences_and_a_label(tmp_path: Path) -> None:
    entries = [
        {"idx": k, "sentence1": text, "sentence2": f"{text} again", "label": label}
        for k, (label, text) in enumerate(rows())
    ]
    path = write_jsonl(tmp_path / "train.jsonl", entries)
    wanted = {"text": "sentence1", "text_pair": "sentence2"}
    assert guessed(path) == ("classification", wanted)


def test_an_index_column_of_pandas_is_no_label(tmp_path: Path) -> None:
    lines = ["Unnamed: 0,text,label", *(f'{k},"{t}",{a}' for k, (a, t) in enumerate(rows()))]
    assert guessed(write(tmp_path / "a.csv", "\n".join(lines))) == ("classification", {})


def test_texts_with_what_was_noted_of_them_are_no_classes(tmp_path: Path) -> None:
    entries = [{"text": text, "source": "web", "lang": "en", "n": 1} for _, text in rows()]
    assert guessed(write_jsonl(tmp_path / "a.jsonl", entries)) == ("language", {})


def test_layouts_of_hugging_face(tmp_path: Path) -> None:
    translations = [{"id": "0", "translation": {"en": "a dog", "fr": "un chien"}}] * 3
    tags = [{"tokens": ["a", "dog"], "ner_tags": [0, 1]}] * 3
    news = [{"article": text * 3, "highlights": text} for _, text in rows()]
    found = {
        name: guessed(write_jsonl(tmp_path / f"{name}.jsonl", entries))
        for name, entries in (("translations", translations), ("tags", tags), ("news", news))
    }
    assert found == {
        "translations": ("translation", {"source": "fr"}),
        "tags": ("tagging", {}),
        "news": ("summarising", {"source": "article", "target": "highlights"}),
    }


def test_parallel_files(tmp_path: Path) -> None:
    for name in ("train.fr.gz", "train.en", "dev.fr", "dev.en"):
        write(tmp_path / name, "a\nb\n")
    assert guessed(tmp_path) == ("translation", {"source": "fr"})


def test_folders_of_classes(tmp_path: Path) -> None:
    for k, (label, text) in enumerate(rows()):
        write(tmp_path / "train" / label / f"{k}.txt", text)
    assert guessed(tmp_path)[0] == "classification"


def test_a_folder_of_chapters_is_a_text(tmp_path: Path) -> None:
    for name in ("guide/intro.md", "guide/start.md", "api/calls.md", "index.md"):
        write(tmp_path / name, PROSE)
    assert guess_task(tmp_path) is None


@pytest.mark.parametrize(
    ("name", "content", "task"),
    [
        ("a.txt", "1 Mary ran home.\n2 Where is Mary? \thome\t1\n", "question_answering"),
        ("a.txt", "IN: run twice OUT: I_RUN I_RUN\n", "translation"),
        ("a.txt", "Rome B-location\n. O\n\nI O\nran O\n", "tagging"),
        ("a.conllu", "1\tRome\trome\tPROPN\t_\t_\t0\troot\t_\t_\n\n", "tagging"),
        ("a.txt", "".join(f"{k % 2} a short film {k}\n" for k in range(9)), "classification"),
        ("a.txt", "".join(f"__label__x a film {k}\n" for k in range(9)), "classification"),
        ("a.txt", "a dog\tein Hund\na cat\teine Katze\n", "translation"),
        (
            "a.jsonl",
            '{"context": "Mary ran.", "question": "Who?", "answer": "Mary"}',
            "question_answering",
        ),
        (
            "a.json",
            '{"data": [{"paragraphs": [{"context": "Mary ran.", "qas": []}]}]}',
            "reading",
        ),
        (
            "a.csv",
            "context,question,answers\nA ran.,Who?,\"{'text': ['A'], 'answer_start': [0]}\"\n",
            "reading",
        ),
        ("a.csv", "context,question,answer,answer_start\nMary ran.,Who?,Mary,0\n", "reading"),
    ],
)
def test_files_by_their_first_lines(tmp_path: Path, name: str, content: str, task: str) -> None:
    assert guessed(write(tmp_path / name, content))[0] == task


@pytest.mark.parametrize(
    "content", [PROSE, "\n\n", "- one\n- two\n\n- three\n", "1 egg\n2 cups of flour\n3 lemons\n"]
)
def test_prose_is_nothing_else(tmp_path: Path, content: str) -> None:
    assert guess_task(write(tmp_path / "a.txt", content)) is None


def test_recordings_and_pictures(tmp_path: Path) -> None:
    write(tmp_path / "wav" / "zero" / "a.wav", "RIFF")
    write(tmp_path / "png" / "0" / "a.png", "PNG")
    write(tmp_path / "mnist" / "train-images-idx3-ubyte", "")
    with tarfile.open(tmp_path / "words.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "wav", "wav")
    write(tmp_path / "said" / "1.wav", "RIFF")
    write(tmp_path / "said" / "1.txt", "go on")
    write(tmp_path / "libri" / "84" / "84-1-0.flac", "fLaC")
    write(tmp_path / "libri" / "84" / "84-1.trans.txt", "84-1-0 GO ON")
    write(tmp_path / "list.csv", "path,sentence\na.wav,go on\nb.wav,stop it now\n")
    write(tmp_path / "both.csv", "path,text,label\na.wav,go on,x\nb.wav,stop it now,y\n")
    names = ("wav", "png", "mnist", "words.tar.gz", "said", "libri", "list.csv", "both.csv")
    assert [guessed(tmp_path / name)[0] for name in names] == [
        "speech", "pixels", "pixels", "speech",
        "transcription", "transcription", "transcription", "speech",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("header", "task", "settings"),
    [
        ("english,french", "translation", {"source": "french", "target": "english"}),
        ("prompt,response", "translation", {"source": "prompt", "target": "response"}),
        ("dialogue,summary", "summarising", {"source": "dialogue"}),
        ("Title,Body", "language", {"text_field": "Body"}),
    ],
)
def test_two_columns_of_texts(tmp_path: Path, header: str, task: str, settings: dict) -> None:
    lines = [header, *(f'"{text}","{text}, again {k}"' for k, (_, text) in enumerate(rows()))]
    assert guessed(write(tmp_path / "a.csv", "\n".join(lines))) == (task, settings)


def test_a_word_a_row_with_its_tag(tmp_path: Path) -> None:
    lines = ["Sentence #,Word,POS,Tag", "Sentence: 1,Rome,NNP,B-geo", ",is,VB,O", ",old,JJ,O"]
    assert guessed(write(tmp_path / "a.csv", "\n".join(lines))) == ("tagging", {})


def test_a_table_without_a_header_is_no_guess(tmp_path: Path) -> None:
    lines = (f'"{text}, a text of many more words","{label}"' for label, text in rows())
    assert guess_task(write(tmp_path / "a.csv", "\n".join(lines))) is None


def test_one_column_of_texts_is_trained_on_and_said(tmp_path: Path) -> None:
    entries = [{"text": f"{text} and more of it", "n": k} for k, (_, text) in enumerate(rows(90))]
    path = write_jsonl(tmp_path / "a.jsonl", entries)
    task = build_guessed(LanguageConfig(data=str(path)), named=False)
    assert task.reading is not None
    assert "trained on the column 'text' as text; --task names another task" in task.reading.notes


def test_what_cannot_be_read_is_no_guess(tmp_path: Path) -> None:
    assert guess_task(tmp_path / "missing") is None
    assert guess_task(write(tmp_path / "a.jsonl", '{"text": ')) is None


def test_a_table_is_not_trained_on_as_text_in_silence(tmp_path: Path) -> None:
    path = table(tmp_path / "reviews.csv", "review", "sentiment")
    with pytest.raises(UserError, match="--task classification --set text=review") as caught:
        build_guessed(LanguageConfig(data=str(path)), named=False)
    assert "--task language --set text_field=review to train on the text" in str(caught.value)


def test_prose_needs_no_task(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", PROSE)
    assert build_guessed(LanguageConfig(data=str(path)), named=False).name == "language"


def test_a_task_that_cannot_read_the_data_says_which_can(tmp_path: Path) -> None:
    path = write(tmp_path / "a.conll", "Rome\tB-location\n.\tO\n\nI\tO\nran\tO\n\n" * 9)
    with pytest.raises(UserError, match="looks like a word and its tag a line: --task tagging"):
        build_guessed(ClassificationConfig(data=str(path)), named=True)


def test_events_and_windows_are_known_by_their_columns(tmp_path: Path) -> None:
    log = (
        "user_id,timestamp,activity,amount\n" + "ann,2024-01-01,buy,1.5\nann,2024-01-02,look,\n" * 3
    )
    assert guessed(write(tmp_path / "log.csv", log)) == ("events", {})
    steps = "window_id,t,x,label\n" + "".join(
        f"{k // 4},{k % 4},0.{k},{k // 8}\n" for k in range(16)
    )
    assert guessed(write(tmp_path / "steps.csv", steps)) == ("windows", {})
    once = "id,date,category,amount\n1,2024-01-01,a,1\n2,2024-01-02,b,2\n"  # nobody comes again
    found = guess_task(write(tmp_path / "once.csv", once))
    assert found is None or found.task != "events"
    archive = "@classLabel true a b\n@data\n1,2,3:a\n"
    assert guessed(write(tmp_path / "X_TRAIN.ts", archive)) == ("windows", {})
