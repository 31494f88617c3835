"""Recordings: what wav files say, which class and split they are of, and what is wrong with one."""

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

from seqarena.core.errors import UserError
from seqarena.data.signals.audio import load_recordings, read_wav
from seqarena.data.signals.tones import HIGH_HERTZ, KEYS, LOW_HERTZ, SAMPLE_RATE, touch_tones
from seqarena.data.splits import parse_range

RAMP = np.linspace(-0.5, 0.5, 64)


def write(file: Path, samples: np.ndarray | None = None, rate: int = 8000) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    default = (RAMP * 2**15).astype(np.int16)
    wavfile.write(file, rate, default if samples is None else samples)
    return file


@pytest.mark.parametrize(
    ("samples", "precision"),
    [
        ((RAMP * 2**15).astype(np.int16), 2**-15),
        ((RAMP * 2**31).astype(np.int32), 2**-23),
        ((RAMP * 128 + 128).astype(np.uint8), 2**-7),
        (RAMP.astype(np.float32), 2**-23),
        (RAMP.astype(np.float64), 2**-23),
        (np.stack([RAMP - 0.25, RAMP + 0.25], axis=1).astype(np.float32), 2**-23),
    ],
    ids=["16 bit", "32 bit", "8 bit", "float", "double", "stereo"],
)
def test_every_sample_format_means_the_same(
    tmp_path: Path, samples: np.ndarray, precision: float
) -> None:
    rate, found_N = read_wav(write(tmp_path / "a.wav", samples, 11025), "a.wav")
    assert rate == 11025
    assert found_N.dtype == np.float32
    np.testing.assert_allclose(found_N, RAMP, atol=precision)


def test_classes_by_name_and_by_folder(tmp_path: Path) -> None:
    for name in ("7_ann_3.wav", "7_ann_12.wav", "yes_bob_0.wav"):
        write(tmp_path / "named" / name)
    named = load_recordings(tmp_path / "named")
    assert [(r.label, r.speaker, r.index) for r in named.items] == [
        ("7", "ann", 12), ("7", "ann", 3), ("yes", "bob", 0),
    ]  # fmt: skip
    for name in ("train/cat/x.wav", "train/dog/y.wav", "test/cat/z_8.wav", "Dev/dog/u.wav"):
        write(tmp_path / "folders" / name)
    (tmp_path / "folders" / "notes.txt").write_text("not a recording")
    folders = load_recordings(tmp_path / "folders")
    assert {(r.label, r.split) for r in folders.items} == {
        ("cat", "train"), ("dog", "train"), ("cat", "test"), ("dog", "validation"),
    }  # fmt: skip


def test_an_archive_equals_its_folder(tmp_path: Path) -> None:
    for number in range(3):
        write(tmp_path / "set" / f"{number % 2}_ann_{number}.wav")
    with tarfile.open(tmp_path / "set.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "set", arcname=".")
        hidden = tarfile.TarInfo("._0_ann_0.wav")
        archive.addfile(hidden, io.BytesIO())
    inside, outside = (load_recordings(tmp_path / name) for name in ("set.tar.gz", "set"))
    for packed, loose in zip(inside.items, outside.items, strict=True):
        assert packed[:2] + packed[3:] == loose[:2] + loose[3:]
        np.testing.assert_array_equal(packed.samples_N, loose.samples_N)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.tsv", "path\tlabel\tsplit\tspeaker\nx.wav\tyes\ttrain\tann\ny.wav\tno\tTest\t\n"),
        ("a.csv", 'path,label,split,speaker\n"x.wav",yes,train,ann\n\ny.wav,no,test,\n'),
        (
            "a.jsonl",
            '{"path": "x.wav", "label": "yes", "split": "train", "speaker": "ann"}\n'
            '{"path": "y.wav", "label": "no", "split": "test"}\n',
        ),
    ],
)
def test_lists_say_label_split_and_speaker(tmp_path: Path, name: str, text: str) -> None:
    write(tmp_path / "x.wav")
    write(tmp_path / "y.wav")
    (tmp_path / name).write_text(text)
    found = load_recordings(tmp_path / name)
    assert [(r.label, r.split, r.speaker) for r in found.items] == [
        ("yes", "train", "ann"), ("no", "test", None),
    ]  # fmt: skip


def test_long_recordings_are_cut_and_counted(tmp_path: Path) -> None:
    write(tmp_path / "a_b_0.wav", np.arange(900, dtype=np.int16))
    write(tmp_path / "a_b_1.wav", np.arange(400, dtype=np.int16))
    found = load_recordings(tmp_path, max_seconds=0.1)
    assert found.num_cut == 1
    assert [len(r.samples_N) for r in found.items] == [800, 400]
    np.testing.assert_allclose(found.items[0].samples_N[-1] * 2**15, 799)


def test_bad_recordings_are_named(tmp_path: Path) -> None:
    good = write(tmp_path / "good" / "a_b_0.wav")
    write(good.with_name("a_b_1.wav"), rate=16000)
    with pytest.raises(UserError, match=r"a_b_1\.wav: 16000 samples a second, and 8000"):
        load_recordings(good.parent)
    with pytest.raises(UserError, match=r"a_b_0\.wav: 8000 samples a second, and 16000"):
        load_recordings(good.parent, sample_rate=16000)
    broken = {
        "noise": (b"this is no wav", "not a wav file"),
        "empty": (b"", "not a wav file"),
        "cut": (good.read_bytes()[:-40], "ends before its samples do"),
        "header": (good.read_bytes()[:20], "not a wav file"),
    }
    for name, (content, words) in broken.items():
        with pytest.raises(UserError, match=f"^{name}: .*{words}"):
            read_wav(content, name)
    with pytest.raises(UserError, match="0 samples"):
        read_wav(write(tmp_path / "s.wav", np.zeros(0, np.int16)), "s")
    with pytest.raises(UserError, match="no numbers"):
        read_wav(write(tmp_path / "n.wav", np.full(9, np.nan, np.float32)), "n")


def test_bad_places_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file or folder"):
        load_recordings(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"no \.wav file"):
        load_recordings(tmp_path)
    write(tmp_path / "one" / "word.wav")
    with pytest.raises(UserError, match=r"word\.wav: no class: name it"):
        load_recordings(tmp_path / "one")
    write(tmp_path / "two" / "x" / "word.wav")
    write(tmp_path / "two" / "stray.wav")
    with pytest.raises(UserError, match=r"stray\.wav: it lies in no class"):
        load_recordings(tmp_path / "two")
    for name in ("a.tar.gz", "a.mp3"):
        (tmp_path / name).write_bytes(b"nonsense")
        with pytest.raises(UserError, match=name):
            load_recordings(tmp_path / name)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("path\tlabel\nx.wav\tyes\ngone.wav\tno\n", "line 3: .*gone.wav cannot be read"),
        ("path\tclass\nx.wav\tyes\n", "line 2: no label"),
        ("path\tlabel\tsplit\nx.wav\tyes\tsome\n", "line 2: split 'some'"),
    ],
)
def test_bad_lists_are_named_by_line(tmp_path: Path, text: str, words: str) -> None:
    write(tmp_path / "x.wav")
    (tmp_path / "list.tsv").write_text(text)
    with pytest.raises(UserError, match=words):
        load_recordings(tmp_path / "list.tsv")


def test_ranges_of_indices() -> None:
    assert parse_range("0-4") == range(5)
    assert parse_range("7") == range(7, 8)
    for text in ("4-0", "a-b", "", "1-"):
        with pytest.raises(UserError, match="write it as 0-4"):
            parse_range(text)


def test_touch_tones_hold_the_frequencies_of_their_key() -> None:
    tones = touch_tones()
    clear = [r for r in tones.items if r.speaker == "clear" and r.split == "train"][:200]
    assert len(clear) == 200
    right = 0
    for tone in clear:
        power = np.abs(np.fft.rfft(tone.samples_N, 1 << 15)) ** 2
        hertz = np.fft.rfftfreq(1 << 15, 1 / SAMPLE_RATE)
        row, column = (
            int(np.argmax([power[np.abs(hertz - f) < 0.02 * f].max() for f in group]))
            for group in (LOW_HERTZ, HIGH_HERTZ)
        )
        right += KEYS[row][column] == tone.label
    assert right >= 0.97 * len(clear)  # the peak may be noise where the key was short and faint


def test_touch_tones_of_the_splits_differ_and_are_balanced() -> None:
    tones, again = touch_tones().items, touch_tones().items
    assert all(np.array_equal(a.samples_N, b.samples_N) for a, b in zip(tones, again))
    counts = {split: sum(r.split == split for r in tones) for split in ("train", "test")}
    assert counts == {"train": 1600, "test": 640}
    assert len({r.samples_N.tobytes() for r in tones}) == len(tones)
    test = [r.label for r in tones if r.split == "test"]
    assert {test.count(label) for label in test} == {40}
