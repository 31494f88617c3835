"""Recordings with their texts: every layout, and what is said of a file that is wrong."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy.io import wavfile

from seqarena.core.errors import UserError
from seqarena.data.files.reading import Reading
from seqarena.data.signals.audio import load_recordings
from seqarena.data.signals.spoken.dialling import SCORED, TRAINED, dialled_numbers
from seqarena.data.signals.spoken.strings import LONGEST_PAUSE, joined
from seqarena.data.signals.spoken.utterances import Utterances, load_utterances, resampled
from seqarena.data.streams import Stream
from seqarena.ops.ctc import BLANK as OP_BLANK
from seqarena.ops.ctc_search import BLANK as SEARCH_BLANK

RATE = 16_000


def sound(file: Path, seconds: float = 0.1, rate: int = RATE, channels: int = 1) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    time_N = np.arange(round(seconds * rate)) / rate
    samples = 0.3 * np.sin(2 * np.pi * 400 * time_N)
    if channels > 1:
        samples = np.stack([samples] * channels, axis=1)
    soundfile.write(file, samples, rate)
    return file


def loaded(place: Path, **settings: object) -> tuple[Utterances, Reading]:
    reading = Reading()
    return load_utterances(place, reading, **settings), reading  # pyright: ignore


def test_text_beside_the_recording(tmp_path: Path) -> None:
    for k, text in enumerate(["one  two\n", "three\t four"]):
        sound(tmp_path / "train" / f"{k}.wav")
        (tmp_path / "train" / f"{k}.txt").write_text(text)
    sound(tmp_path / "test" / "9.flac", 0.2)
    (tmp_path / "test" / "9.txt").write_text("nine")
    (tmp_path / "notes.txt").write_text("what this is")
    found, reading = loaded(tmp_path)
    assert [(item.name, item.text, item.split) for item in found.items] == [
        ("test/9.flac", "nine", "test"),
        ("train/0.wav", "one two", "train"),
        ("train/1.wav", "three four", "train"),
    ]
    assert (found.sample_rate, found.format) == (RATE, "flac, wav")
    assert [Path(each.file).name for each in reading.passed_over] == ["notes.txt"]


def test_librispeech(tmp_path: Path) -> None:
    root = tmp_path / "LibriSpeech"
    for split, speaker in (("train-clean-100", 103), ("dev-clean", 84), ("test-other", 61)):
        chapter = root / split / str(speaker) / "7"
        for k in range(2):
            sound(chapter / f"{speaker}-7-{k:04}.flac")
        lines = [f"{speaker}-7-{k:04} CHAPTER {('ONE', 'TWO')[k]}\n" for k in range(2)]
        (chapter / f"{speaker}-7.trans.txt").write_text("".join(lines))
    (root / "SPEAKERS.TXT").write_text("; id | sex")
    found, _ = loaded(root)
    assert [(item.text, item.speaker, item.split) for item in found.items] == [
        ("CHAPTER ONE", "84", "validation"), ("CHAPTER TWO", "84", "validation"),
        ("CHAPTER ONE", "61", "test"), ("CHAPTER TWO", "61", "test"),
        ("CHAPTER ONE", "103", "train"), ("CHAPTER TWO", "103", "train"),
    ]  # fmt: skip
    listing = root / "dev-clean" / "84" / "7" / "84-7.trans.txt"
    listing.write_text("84-7-0000 CHAPTER ONE\n84-7-0001\n")
    with pytest.raises(UserError, match=r"84-7\.trans\.txt, line 2: no text behind '84-7-0001'"):
        loaded(root)
    listing.write_text("84-7-0000 CHAPTER ONE\n")
    with pytest.raises(UserError, match=r"84-7-0001\.flac: no text: write it into 84-7-0001\.txt"):
        loaded(root)


@pytest.mark.parametrize("column", ["text", "sentence", "said"])
def test_tables(tmp_path: Path, column: str) -> None:
    sound(tmp_path / "clips" / "a.wav")
    sound(tmp_path / "clips" / "b.wav")
    table = tmp_path / "list.tsv"
    table.write_text(
        f"path\t{column}\tspeaker\tsplit\n"
        "clips/a.wav\tgo on\tann\ttrain\nclips/b.wav\tstop\tbob\tdev\n"
    )
    found, _ = loaded(table, **({"text": "said"} if column == "said" else {}))
    assert [(item.text, item.speaker, item.split) for item in found.items] == [
        ("go on", "ann", "train"), ("stop", "bob", "validation"),
    ]  # fmt: skip


def test_a_table_says_what_is_missing(tmp_path: Path) -> None:
    sound(tmp_path / "a.wav")
    for row, words in (
        ("a.wav\t \tx", r"row 1|line 2: no text: each recording needs a path and a text"),
        ("\tgo\tx", "no path: each recording needs a path and a text"),
        ("b.wav\tgo\tx", r"line 2: .*b\.wav cannot be read: no such file"),
    ):
        (tmp_path / "list.tsv").write_text(f"path\ttext\tmore\n{row}\n")
        with pytest.raises(UserError, match=words):
            loaded(tmp_path / "list.tsv")
    (tmp_path / "list.csv").write_text("path,words\na.wav,go\n")
    with pytest.raises(UserError, match=r"no text: .* name the column with --set text=NAME"):
        loaded(tmp_path / "list.csv")


def test_a_stereo_flac_at_another_rate_is_named(tmp_path: Path) -> None:
    for k in range(3):
        file = sound(tmp_path / f"{k}.wav")
        file.with_suffix(".txt").write_text("word")
    odd = sound(tmp_path / "odd.flac", rate=44_100, channels=2)
    odd.with_suffix(".txt").write_text("odd")
    with pytest.raises(UserError, match=r"odd\.flac: 44100 samples a second, and 16000 are wanted"):
        loaded(tmp_path)
    found, reading = loaded(tmp_path, resample=True)
    assert reading.notes == ["1 recording resampled to 16,000 samples a second"]
    assert [len(item.samples_N) for item in found.items] == [1600] * 4
    # the same hum, whatever it was recorded at
    np.testing.assert_allclose(
        found.items[3].samples_N[100:-100], found.items[0].samples_N[100:-100], atol=2e-3
    )


def test_resampling_keeps_what_the_new_rate_can_hold() -> None:
    time_N = np.arange(8000) / 8000
    low_N, high_N = (np.sin(2 * np.pi * hertz * time_N) for hertz in (300, 3500))
    found_N = resampled((low_N + high_N).astype(np.float32), 8000, 4000)
    expected_N = np.sin(2 * np.pi * 300 * np.arange(4000) / 4000)
    np.testing.assert_allclose(found_N[200:-200], expected_N[200:-200], atol=5e-3)


def test_what_is_no_transcribed_recording(tmp_path: Path) -> None:
    sound(tmp_path / "alone.wav")
    with pytest.raises(UserError, match=r"alone\.wav: no text: write it into alone\.txt"):
        loaded(tmp_path)
    (tmp_path / "alone.txt").write_text(" \n")
    with pytest.raises(UserError, match=r"alone\.txt: no text in it: leave alone\.wav out"):
        loaded(tmp_path)
    with pytest.raises(UserError, match="transcribed recordings come as"):
        loaded(tmp_path / "alone.wav")
    (tmp_path / "x.tar.gz").write_bytes(b"")
    with pytest.raises(UserError, match="an archive: unpack it and name the folder"):
        loaded(tmp_path / "x.tar.gz")


def words(folder: Path) -> Path:
    for index in range(3):
        for label in ("yes", "no"):
            for speaker in ("ann", "bob"):
                wavfile.write(
                    folder / f"{label}_{speaker}_{index}.wav", 8000,
                    (3000 * np.sin(np.arange(800 + 80 * index) * 0.3)).astype(np.int16),
                )  # fmt: skip
    return folder


def test_strings_are_a_function_of_their_number(tmp_path: Path) -> None:
    recordings = load_recordings(words(tmp_path)).items
    one = joined(recordings, 8000, range(2, 4), 20, Stream.TEST)
    again = joined(recordings, 8000, range(2, 4), 10, Stream.TEST)
    for a, b in zip(again, one):
        assert (a.name, a.text) == (b.name, b.text)
        np.testing.assert_array_equal(a.samples_N, b.samples_N)
    for item in one:
        names = item.name.split(": ")[1].split()
        assert item.text.split() == [name.split("_")[0] for name in names]
        assert {name.split("_")[1] for name in names} == {item.speaker}
        assert 2 <= len(names) <= 3
        said = sum(800 + 80 * int(name[-5]) for name in names)
        assert said <= len(item.samples_N) <= said + len(names) * 8000 * LONGEST_PAUSE
    assert {item.speaker for item in one} == {"ann", "bob"}
    assert {item.text for item in one} > {"yes no"}


def test_strings_without_those_of_other_splits(tmp_path: Path) -> None:
    recordings = load_recordings(words(tmp_path)).items
    without = {"yes", "no yes"}
    found = joined(recordings, 8000, range(1, 3), 60, Stream.TRAIN, without)
    assert len(found) == 60
    assert not without & {item.text for item in found}
    assert joined(recordings, 8000, range(1, 2), 5, Stream.TRAIN, {"yes", "no"}) == []


def test_dialled_numbers() -> None:
    found = dialled_numbers()
    assert [sum(item.split == split for item in found.items)
            for split in ("train", "validation", "test")] == [1600, 160, 320]  # fmt: skip
    for item in found.items:
        lengths = TRAINED if item.split == "train" else SCORED
        assert len(item.text.split()) in lengths
        assert np.abs(item.samples_N).max() == pytest.approx(0.5, abs=1e-6)
    texts = [{item.text for item in found.items if (item.split == "train") == x} for x in (0, 1)]
    assert not texts[0] & texts[1]
    np.testing.assert_array_equal(dialled_numbers().items[7].samples_N, found.items[7].samples_N)


def test_one_blank() -> None:
    assert OP_BLANK == SEARCH_BLANK
