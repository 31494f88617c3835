"""Transcription: splits, symbols, what a model hears, error rates, and answers for a file."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import wavfile

from seqarena.core.batch import IGNORE, Batch, map_batch
from seqarena.core.errors import UserError
from seqarena.data.signals.mel import frame_sizes, log_mel
from seqarena.models.build import build
from seqarena.models.catalog import CATALOG, why_not
from seqarena.models.states.session import Session
from seqarena.ops.ctc import ctc
from seqarena.tasks import build_task, parse_task
from seqarena.tasks.prepared import load_prepared, save_prepared
from seqarena.tasks.registry import load_codec
from seqarena.tasks.signals.listening import Listener, played
from seqarena.tasks.signals.symbols import Symbols
from seqarena.tasks.signals.transcription import TranscriptionTask

RATE = 8000
HERTZ = {"low": 300, "mid": 900, "high": 1800}


def hum(word: str, generator: np.random.Generator) -> np.ndarray:
    time_N = np.arange(generator.integers(800, 1600)) / RATE
    samples_N = 0.4 * np.sin(2 * np.pi * HERTZ[word] * time_N)
    samples_N += 0.01 * generator.standard_normal(len(time_N))
    return (samples_N * 2**15).astype(np.int16)


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three words by four speakers, five times each."""
    place, generator = tmp_path_factory.mktemp("words"), np.random.default_rng(0)
    for index in range(5):
        for word in HERTZ:
            for speaker in ("ann", "bob", "cat", "dan"):
                name = place / f"{word}_{speaker}_{index}.wav"
                wavfile.write(name, RATE, hum(word, generator))
    return place


@pytest.fixture(scope="module")
def listed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of strings of those words, by four speakers."""
    place, generator = tmp_path_factory.mktemp("strings"), np.random.default_rng(1)
    lines = ["path\ttext\tspeaker"]
    for index in range(40):
        words = generator.choice(list(HERTZ), size=1 + index % 4)
        samples_N = np.concatenate([hum(word, generator) for word in words])
        wavfile.write(place / f"{index}.wav", RATE, samples_N)
        speaker = ("ann", "bob", "cat", "dan")[index % 4]
        lines.append(f"{index}.wav\t{' '.join(words)}\t{speaker}")
    (place / "list.tsv").write_text("\n".join(lines))
    return place / "list.tsv"


def made(data: Path | None, **settings: object) -> TranscriptionTask:
    fields = {} if data is None else {"data": str(data)}
    task = build_task(parse_task({"kind": "transcription", "bands": 8, **fields, **settings}))
    assert isinstance(task, TranscriptionTask)
    return task


def speakers(task: TranscriptionTask, split: str) -> set[str | None]:
    return {item.speaker for item in task._parts[split]}


def test_nobody_is_heard_in_two_splits(listed: Path) -> None:
    task = made(listed)
    heard = [speakers(task, split) for split in ("train", "validation", "test")]
    assert [len(names) for names in heard] == [2, 1, 1]
    assert len(set.union(*heard)) == 4
    assert task.reading is not None
    assert "whole speakers cut off the training data: validation" in task.reading.how
    chosen = made(listed, test_speakers="bob", validation_speakers="ann, dan")
    assert [speakers(chosen, split) for split in ("train", "validation", "test")] == [
        {"cat"}, {"ann", "dan"}, {"bob"},
    ]  # fmt: skip
    with pytest.raises(
        UserError, match="test_speakers: no recording is by 'eve': speakers are ann"
    ):
        made(listed, test_speakers="eve")


def test_joined_words(single: Path) -> None:
    settings = {"join": "1-2", "test_join": "3-4", "strings": 50, "test_speakers": "dan"}
    task = made(single, **settings, validation_index="4")
    assert task.sizes == {"train": 50, "validation": 5, "test": 5}
    assert speakers(task, "test") == {"dan"}
    assert speakers(task, "train") <= {"ann", "bob", "cat"}
    for split, counts in (("train", {1, 2}), ("test", {3, 4}), ("validation", {3, 4})):
        assert {len(text.split()) for text in task.texts(split)} <= counts
    names = " ".join(item.name for item in task._parts["validation"])
    assert "_4.wav" in names
    assert not any(f"_{k}.wav" in names for k in range(4))
    assert "_4.wav" not in " ".join(item.name for item in task._parts["train"])
    same = made(single, **settings | {"test_join": "1-2"}, validation_index="4")
    assert not set(same.texts("train")) & {*same.texts("test"), *same.texts("validation")}


def test_problem_targets_and_positions(listed: Path) -> None:
    task = made(listed, stack=4, normalise="none", units="word")
    problem = task.problem
    assert (problem.form, problem.features, problem.num_outputs) == ("transcript", 32, 4)
    (batch,) = task.evaluation_batches("test", 100)
    assert batch.mask_BT is not None
    for row, item in enumerate(task._parts["test"]):
        raw_TM = log_mel(item.samples_N, RATE, 8)
        positions = -(-len(raw_TM) // 4)
        assert batch.mask_BT[row].sum() == positions
        padded = np.concatenate([raw_TM, np.repeat(raw_TM[-1:], 4 * positions - len(raw_TM), 0)])
        np.testing.assert_allclose(
            batch.inputs_BT[row, :positions], padded.reshape(positions, 32), atol=1e-5
        )
        symbols = [symbol for symbol in batch.targets_BT[row].tolist() if symbol != IGNORE]
        assert [("high", "low", "mid")[symbol - 1] for symbol in symbols] == item.text.split()
    assert problem.max_length == task.sequence_length >= batch.inputs_BT.shape[1]


def test_the_loss_is_ctc_for_each_symbol(listed: Path) -> None:
    task = made(listed, units="word")
    (batch,) = task.evaluation_batches("test", 100)
    draw = torch.Generator().manual_seed(0)
    logits_BTV = torch.randn(*batch.inputs_BT.shape[:2], 4, generator=draw)
    total, count = 0.0, 0
    for row in range(len(logits_BTV)):
        real = int(batch.mask_BT[row].sum())  # pyright: ignore
        symbols_U = batch.targets_BT[row][batch.targets_BT[row] != IGNORE]
        sizes = torch.tensor([real]), torch.tensor([len(symbols_U)])
        total += float(ctc(logits_BTV[row : row + 1, :real], symbols_U[None], *sizes)[0])
        count += len(symbols_U)
    assert float(task.loss(logits_BTV, batch)) == pytest.approx(total / count, rel=1e-5)
    with pytest.raises(UserError, match="leave label smoothing at 0"):
        task.loss(logits_BTV, batch, 0.1)


def spelling(task: TranscriptionTask, batch: Batch, texts: list[str]) -> torch.Tensor:
    """Logits whose best path spells the texts."""
    logits_BTV = torch.zeros(*batch.inputs_BT.shape[:2], len(task.symbols))
    logits_BTV[..., 0] = 20.0
    for row_TV, text in zip(logits_BTV, texts):
        for place, symbol in enumerate(task.symbols.encode(text).tolist()):
            row_TV[2 * place, symbol] = 40.0
    return logits_BTV


@pytest.mark.parametrize("beam", [1, 4])
def test_error_rates_and_slices(listed: Path, beam: int) -> None:
    task = made(listed, units="word", test_speakers="ann,bob", stack=1, beam=beam)
    texts = task.texts("test")
    perfect = task.evaluate(lambda b: spelling(task, b, texts), "test", 100)
    assert perfect.value == 0.0
    assert perfect.slices == {"wer": 0.0, "cer": 0.0, "speaker ann": 0.0, "speaker bob": 0.0}
    # ann's recordings have one word, and lose it
    changed = [" ".join(text.split()[1:]) for text in texts]
    scores = task.evaluate(lambda b: spelling(task, b, changed), "test", 100)
    count = sum(len(text.split()) for text in texts)
    assert scores.value == pytest.approx(len(texts) / count)
    assert scores.slices["speaker ann"] == 1.0
    assert scores.slices["speaker bob"] == 0.5
    assert scores.slices["wer"] == scores.value != scores.slices["cer"]
    by_letter = made(listed, metric="cer", test_speakers="ann,bob")
    assert by_letter.metric == "cer"
    nothing = task.evaluate(lambda b: torch.full((*b.inputs_BT.shape[:2], 4), torch.nan), "test", 9)
    assert nothing.value == 1.0


@pytest.mark.parametrize("units", ["char", "word", "bpe:262"])
def test_symbols(units: str) -> None:
    texts = ["one two", "two three one", "zwölf"]
    symbols = Symbols.learn(units, texts)
    again = Symbols.from_json(symbols.to_json())
    assert len(again) == len(symbols)
    for text in texts:
        numbers_U = symbols.encode(text)
        assert numbers_U.min() >= 1
        assert numbers_U.max() < len(symbols)
        assert again.encode(text).tolist() == numbers_U.tolist()
        assert again.decode(numbers_U.tolist()) == text
        assert symbols.unknown(text) == 0
    if units == "word":
        assert symbols.decode(symbols.encode("one four two").tolist()) == "one two"
        assert symbols.unknown("one four two") == 1


def test_training_hears_variations(listed: Path) -> None:
    task = made(listed, speed=0.2, noise=10.0, mask=True)
    other = made(listed, speed=0.2, noise=10.0, mask=True)
    a, b = (each.training_batch(3, 4, seed=5) for each in (task, other))
    assert torch.equal(a.inputs_BT, b.inputs_BT)
    assert torch.equal(a.targets_BT, b.targets_BT)
    steps = task.steps_per_epoch(4)
    later = task.training_batch(3 + steps, 4, seed=5)
    assert a.inputs_BT.shape != later.inputs_BT.shape or not torch.equal(
        a.inputs_BT, later.inputs_BT
    )
    for index in range(steps):
        batch = task.training_batch(index, 4, seed=1)
        assert batch.inputs_BT.shape[1] <= task.problem.max_length
        assert torch.isfinite(batch.inputs_BT).all()
    plain = made(listed)
    (one,), (two,) = (list(t.evaluation_batches("test", 100)) for t in (task, plain))
    torch.testing.assert_close(one.inputs_BT, two.inputs_BT)  # what is scored stays as it is


def test_played_faster_is_shorter_and_higher() -> None:
    time_N = np.arange(RATE) / RATE
    faster_N = played(np.sin(2 * np.pi * 400 * time_N), 1.25)
    assert len(faster_N) == pytest.approx(RATE / 1.25, abs=2)
    assert np.abs(np.fft.rfft(faster_N)).argmax() * RATE / len(faster_N) == pytest.approx(
        500, abs=2
    )


def test_what_cannot_be_learnt_is_left_out(listed: Path) -> None:
    task = made(listed, units="char", stack=3)
    assert task.describe()["left_out"] > 0  # 10 ms frames: too few for "high mid low ..."
    assert task.survey().parts["train"].left_out == task.describe()["left_out"]
    assert sum(len(b.targets_BT) for b in (
        task.training_batch(k, 4, seed=0) for k in range(task.steps_per_epoch(4))
    )) == task.sizes["train"]  # fmt: skip
    with pytest.raises(UserError, match="no training recording is of use"):
        made(listed, max_seconds=0.01)


def test_prepared_data_are_the_same_task(listed: Path, tmp_path: Path) -> None:
    task = made(listed, speed=0.1)
    save_prepared(task, tmp_path)
    again = load_prepared(task.config, task.digest(), tmp_path)
    assert isinstance(again, TranscriptionTask)
    assert again.digest() == task.digest()
    assert again.artifacts() == task.artifacts()
    assert again.problem == task.problem
    for a, b in (
        (task.training_batch(1, 4, seed=0), again.training_batch(1, 4, seed=0)),
        (*task.evaluation_batches("test", 50), *again.evaluation_batches("test", 50)),
    ):
        assert torch.equal(a.inputs_BT, b.inputs_BT)
        assert torch.equal(a.targets_BT, b.targets_BT)


def test_the_codec_reads_what_the_task_reads(listed: Path) -> None:
    task = made(listed, units="word", test_speakers="bob", stack=1)
    codec = load_codec(task.config, task.artifacts())
    names = [str(listed.parent / item.name) for item in task._parts["test"]]
    batch = codec.encode(names)
    (expected,) = task.evaluation_batches("test", 100)
    torch.testing.assert_close(batch.inputs_BT, expected.inputs_BT)
    assert (batch.targets_BT == IGNORE).all()
    answers = codec.decode(spelling(task, expected, task.texts("test")), batch)
    assert [answer.text for answer in answers] == task.texts("test")
    assert all(0 < (answer.confidence or 0) <= 1 for answer in answers)
    wavfile.write(listed.parent / "fast.wav", 44_100, np.zeros((500, 2), np.int16))
    with pytest.raises(UserError, match=r"fast\.wav: 44100 samples a second, and 8000"):
        codec.encode([str(listed.parent / "fast.wav")])


STREAMING = ["lstm", "mingru", "mamba", "wavenet", "conv"]


@pytest.mark.parametrize("name", STREAMING)
def test_a_causal_model_transcribes_in_pieces(name: str, listed: Path) -> None:
    """The state goes from piece to piece: the logits, and so the text, are those of the whole."""
    task = made(listed, units="word")
    (batch,) = task.evaluation_batches("test", 1, 1)
    model = build(name, problem=task.problem, width=16, depth=2, seed=0).double().eval()
    assert model.writes
    assert model.carries
    batch = map_batch(lambda x: x.double() if x.is_floating_point() else x, batch)
    with torch.no_grad():
        whole_1TV = model.answer(batch)
    pieces = list(Session(model).stream(batch.inputs_BT[0], piece=7))
    assert len(pieces) > 1
    torch.testing.assert_close(torch.cat(pieces, 1), whole_1TV, rtol=1e-9, atol=1e-9)


def test_frames_of_a_beginning_are_those_of_the_whole(listed: Path) -> None:
    """Normalised over all recordings, a position sees no sample behind its last frame."""
    task = made(listed, stack=3)
    samples_N = task._parts["test"][3].samples_N
    listener: Listener = task.listener
    whole_TF = listener.features(listener.frontend.raw(samples_N))
    window, hop = frame_sizes(RATE)
    cut = (3 * 5 - 1) * hop + window  # five positions
    begun_TF = listener.features(listener.frontend.raw(samples_N[:cut]))
    np.testing.assert_allclose(begun_TF, whole_TF[:5], atol=1e-6)


def test_who_can_enter(listed: Path) -> None:
    problem = made(listed).problem
    for name in ("lstm", "bi_lstm", "bi:mamba", "attention", "wavenet"):
        row = CATALOG.get(name)
        assert row is None or why_not(row, problem) is None
    assert why_not(CATALOG["transformer"], problem) == (
        "it is made for writing one sequence from another, and this task asks for a transcript "
        "that is not aligned with its inputs"
    )


def test_padding_changes_nothing(listed: Path) -> None:
    task = made(listed, units="word")
    model = build("bi_lstm", problem=task.problem, width=12, depth=1, seed=0).eval()
    (together,) = task.evaluation_batches("test", 100)
    assert together.mask_BT is not None
    assert not together.mask_BT.all()
    with torch.no_grad():
        logits_BTV = model.answer(together)
        for row, batch in enumerate(task.evaluation_batches("test", 1)):
            alone_1TV = model.answer(batch)
            found = logits_BTV[row : row + 1, : alone_1TV.shape[1]]
            torch.testing.assert_close(found, alone_1TV, rtol=1e-4, atol=1e-5)


def test_bad_settings(single: Path) -> None:
    for settings, words in (
        ({"units": "syllable"}, "unknown units 'syllable'"),
        ({"join": "0-2"}, "strings of at least one word"),
        ({"test_join": "3"}, "test_join is of recordings that are joined: set join"),
        ({"join": "x"}, "write it as 0-4"),
        ({"join": "1-2", "test_index": "70"}, "test_index 70-70: no name ends in it"),
        ({"join": "1", "test_join": "1", "strings": 500}, "make --join longer"),
        ({"speed": 1.0}, "speed"),
    ):
        with pytest.raises(UserError, match=words):
            made(single, **settings)


def test_the_embedded_numbers() -> None:
    task = made(None)
    assert task.sizes == {"train": 1600, "validation": 160, "test": 320}
    silence, nearest = (row.result(task).test for row in task.baselines())
    assert silence.value == 1.0
    assert nearest.value > 0.7  # a look-up does not spell
    assert set(silence.slices) == {
        "wer", "cer", "speaker clear", "speaker noisy", "speaker very noisy",
    }  # fmt: skip
