"""Classification: what a batch holds, what is scored, what a codec reads and says."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from seqarena.core.batch import END, IGNORE, UNKNOWN
from seqarena.core.errors import UserError
from seqarena.tasks import build_task, parse_task
from seqarena.tasks.base import Codec
from seqarena.tasks.registry import load_codec
from seqarena.tasks.text.classification import ClassificationTask

TRAIN = "pos A good film\nneg a bad , bad film\npos good good\nneg never a film\n"


def task_of(folder: Path, train: str = TRAIN, **fields) -> ClassificationTask:
    (folder / "train.txt").write_text(train)
    (folder / "dev.txt").write_text("pos good film\n")
    (folder / "test.txt").write_text("neg a bad film\nneg unheard of\npos good good\n")
    task = build_task(parse_task({"kind": "classification", "data": str(folder), **fields}))
    assert isinstance(task, ClassificationTask)
    return task


def pairs_of(folder: Path, **fields) -> ClassificationTask:
    rows = ["a b\tb\tyes", "b\ta\tno", "a\ta\tyes", "b a\tb b\tno"]
    (folder / "train.tsv").write_text("\n".join(["text\tother\tlabel", *rows]))
    (folder / "dev.tsv").write_text("text\tother\tlabel\na b\tb\tno\n")
    (folder / "test.tsv").write_text("text\tother\tlabel\na b b\tb\tyes\nc\ta a\tno\n")
    return ClassificationTask(
        parse_task({"kind": "classification", "data": str(folder), "text_pair": "other", **fields})  # pyright: ignore
    )


def test_words_become_tokens(tmp_path: Path) -> None:
    task = task_of(tmp_path)
    # at least twice: good 3, a 3, film 3, bad 2; the others are unknown
    assert task.vocabulary.words[4:] == ("a", "film", "good", "bad")
    assert task.classes == ("neg", "pos")
    (batch,) = task.evaluation_batches("test", 8)
    assert batch.inputs_BT.tolist() == [[4, 7, 5], [UNKNOWN, UNKNOWN, 0], [6, 6, 0]]
    assert batch.mask_BT is not None
    assert batch.mask_BT.sum(1).tolist() == [3, 2, 2]
    assert batch.targets_BT.tolist() == [[0], [0], [1]]
    assert batch.segments_BT is None
    problem = task.problem
    assert (problem.form, problem.num_outputs, problem.vocab_size) == ("label", 2, 8)
    assert (problem.num_segments, problem.max_length) == (0, 5)


def test_held_out_words_do_not_enter_the_vocabulary(tmp_path: Path) -> None:
    task = task_of(tmp_path, min_count=1)
    assert "never" in task.vocabulary
    assert "unheard" not in task.vocabulary


def test_two_sentences_end_alike(tmp_path: Path) -> None:
    task = pairs_of(tmp_path)
    a, b = task.vocabulary.encode(["a", "b"])
    (batch,) = task.evaluation_batches("test", 8)
    assert batch.inputs_BT.tolist() == [
        [a, b, b, END, b, END],
        [UNKNOWN, END, a, a, END, 0],
    ]
    assert batch.segments_BT is not None
    assert batch.segments_BT.tolist() == [[0, 0, 0, 0, 1, 1], [0, 0, 1, 1, 1, 0]]
    assert task.problem.num_segments == 2


def test_characters_and_case(tmp_path: Path) -> None:
    task = task_of(tmp_path, tokenizer="char", lowercase=False, min_count=1)
    assert "A" in task.vocabulary
    assert " " in task.vocabulary
    assert task.sequence_length == len("a bad , bad film")


def test_long_sentences_are_cut_and_counted(tmp_path: Path) -> None:
    facts = pairs_of(tmp_path, max_length=1).describe()
    assert [facts["splits"][s]["cut_at_max_length"] for s in ("train", "validation", "test")] == [
        2, 1, 2,
    ]  # fmt: skip
    assert facts["sequence_length"] == 4
    (tmp_path / "single").mkdir()
    facts = task_of(tmp_path / "single", max_length=3).describe()
    assert facts["splits"]["train"]["cut_at_max_length"] == 1


def test_what_is_described(tmp_path: Path) -> None:
    facts = task_of(tmp_path).describe()
    json.dumps(facts, allow_nan=False)
    assert facts["labels"] == {"neg": 2, "pos": 2}
    assert facts["splits"]["test"] == {
        "examples": 3, "tokens": 7, "unknown_tokens": 2, "cut_at_max_length": 0,
    }  # fmt: skip
    assert facts["also_in_training"]["test"] == 1
    assert facts["baseline"] == {"label": "neg", "accuracy": 0.6667}


def test_accuracy_and_its_slices(tmp_path: Path) -> None:
    task = task_of(tmp_path)
    answers = iter(torch.tensor([[[2.0, 1.0]], [[0.0, 1.0]], [[float("nan"), 1.0]]]))
    scores = task.evaluate(lambda batch: next(answers)[None], "test", 1)
    assert scores.value == pytest.approx(1 / 3)
    assert scores.slices == {"class neg": 0.5, "class pos": 0.0}
    assert scores.num_scored == 3
    assert scores.chunk_values == (1.0, 0.0, 0.0)


def test_batches_are_functions_of_seed_and_index(tmp_path: Path) -> None:
    task, again = task_of(tmp_path), task_of(tmp_path)
    for _ in range(3):
        again.training_batch(0, 2, seed=5)
    for index in (0, 7):
        left, right = (t.training_batch(index, 2, seed=1) for t in (task, again))
        assert torch.equal(left.inputs_BT, right.inputs_BT)
        assert torch.equal(left.targets_BT, right.targets_BT)
    epoch = task.steps_per_epoch(2)
    seen = [task.training_batch(k, 2, seed=1) for k in range(epoch)]
    targets = torch.cat([batch.targets_BT[:, 0] for batch in seen])
    assert sorted(targets.tolist()) == [0, 0, 1, 1]
    orders = {
        tuple(task.training_batch(k, 1, seed=s).inputs_BT.tolist()[0])
        for s in range(4)
        for k in range(task.steps_per_epoch(1))
    }
    assert len(orders) > 1


def test_the_digest_follows_settings_and_data(tmp_path: Path) -> None:
    digests = [
        task_of(tmp_path).digest(),
        task_of(tmp_path, min_count=1).digest(),
        task_of(tmp_path, train=TRAIN.replace("never", "ever")).digest(),
        task_of(tmp_path, train=TRAIN.replace("neg never", "pos never")).digest(),
    ]
    assert len(set(digests)) == 4
    assert task_of(tmp_path).digest() == digests[0]


def codec_of(task: ClassificationTask) -> Codec:
    return load_codec(task.config, task.artifacts())


def test_a_codec_reads_as_the_task_does(tmp_path: Path) -> None:
    task = task_of(tmp_path)
    batch = codec_of(task).encode(["A bad film", "unheard of", "good good"])
    (expected,) = task.evaluation_batches("test", 8)
    assert torch.equal(batch.inputs_BT, expected.inputs_BT)
    assert batch.targets_BT.tolist() == [[IGNORE]] * 3
    (tmp_path / "pairs").mkdir()
    pairs = pairs_of(tmp_path / "pairs")
    batch = codec_of(pairs).encode(["a b b\tb", "c\ta a"])
    (expected,) = pairs.evaluation_batches("test", 8)
    assert torch.equal(batch.inputs_BT, expected.inputs_BT)
    assert torch.equal(batch.segments_BT, expected.segments_BT)  # pyright: ignore


def test_a_codec_names_the_label_and_its_probability(tmp_path: Path) -> None:
    codec = codec_of(task_of(tmp_path))
    logits_BTV = torch.tensor([[0.2, 0.8], [0.9, 0.1]]).log()[:, None]
    first, second = codec.decode(logits_BTV, codec.encode(["a", "a"]))
    assert (first.text, second.text) == ("pos", "neg")
    assert first.confidence == pytest.approx(0.8)
    assert second.confidence == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("pairs", "item", "message"),
    [
        (False, "  ", "no word in it: a sentence is needed"),
        (False, "a b c d", "4 words, but this model was made for 3 at most"),
        (True, "a b", "two sentences with a tab between them are needed, not 1"),
        (True, "a\tb\tc", "are needed, not 3"),
        (True, "a\t ", "no word in it"),
    ],
)
def test_what_a_codec_cannot_read(tmp_path: Path, pairs, item, message) -> None:
    task = (pairs_of if pairs else task_of)(tmp_path, max_length=3)
    with pytest.raises(UserError, match=message):
        codec_of(task).encode([item])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"encoding": "latin-99"}, "unknown encoding 'latin-99'"),
        ({"text": "label"}, "name different fields"),
        ({"tokenizer": "bpe:300"}, "tokenizer = 'bpe:300'"),
        ({"min_count": 0}, "min_count = 0"),
    ],
)
def test_bad_settings(fields, message) -> None:
    with pytest.raises(UserError, match=message):
        parse_task({"kind": "classification", **fields})


def test_the_embedded_default_trains_a_counter_of_words() -> None:
    """Better than the most frequent class by words alone, so that there is something to learn."""
    task = build_task(parse_task({"kind": "classification"}))
    assert isinstance(task, ClassificationTask)
    assert task.baseline()["accuracy"] < 0.3
    counts_LV = np.ones((len(task.classes), task.vocab_size))
    for index in range(task.steps_per_epoch(32)):
        batch = task.training_batch(index, 32, seed=0)
        for tokens, label in zip(batch.inputs_BT.numpy(), batch.targets_BT[:, 0].numpy()):
            np.add.at(counts_LV[label], tokens[tokens > 0], 1)
    weights_VL = torch.from_numpy(np.log(counts_LV / counts_LV.sum(1, keepdims=True))).T

    def predict(batch) -> torch.Tensor:
        return (weights_VL[batch.inputs_BT] * (batch.inputs_BT > 0)[..., None]).sum(1)[:, None]

    assert task.evaluate(predict, "test", 64).value > 0.55


REAL = {
    "sst2": ({}, (6920, 872, 1821), ("0", "1")),
    "trec": (
        {"label_part": "coarse", "encoding": "iso-8859-1"},
        (4907, 545, 500),
        ("ABBR", "DESC", "ENTY", "HUM", "LOC", "NUM"),
    ),
    "sick": (
        {"text": "sentence_A", "text_pair": "sentence_B", "label": "entailment_judgment"},
        (4500, 500, 4927),
        ("CONTRADICTION", "ENTAILMENT", "NEUTRAL"),
    ),
}


@pytest.mark.parametrize("name", REAL)
def test_published_data(real_data: Path, name: str) -> None:
    fields, sizes, labels = REAL[name]
    data = str(real_data / name)
    task = build_task(parse_task({"kind": "classification", "data": data, **fields}))
    assert isinstance(task, ClassificationTask)
    facts = task.describe()
    assert tuple(facts["splits"][s]["examples"] for s in facts["splits"]) == sizes
    assert task.classes == labels
    if name == "sick":
        assert facts["baseline"] == {"label": "NEUTRAL", "accuracy": 0.5669}
