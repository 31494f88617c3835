"""Baselines of every task: by hand, against slow forms, and on the task's own scale."""

import bz2
import json
import math
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from seqarena.core.config import load_object
from seqarena.data.files.examples import Splits
from seqarena.data.text.tagged import Sentence, Tagged
from seqarena.tasks import build_task
from seqarena.tasks.base import Batch, Task
from seqarena.tasks.baselines import labels, language, pairs, probes, questions, tagging
from seqarena.tasks.baselines.baseline import BaselineResult
from seqarena.tasks.baselines.catalog import baseline_rows, baselines_of
from seqarena.tasks.baselines.kneser_ney import KneserNey
from seqarena.tasks.baselines.nearest import NearestText
from seqarena.tasks.configs import (
    AlgorithmsConfig,
    ClassificationConfig,
    LanguageConfig,
    MaskedLanguageConfig,
    PixelsConfig,
    QuestionAnsweringConfig,
    SummarisingConfig,
    TaggingConfig,
    TranslationConfig,
)
from seqarena.tasks.registry import TASKS, parse_task, task_class
from seqarena.tasks.text.classification import ClassificationTask
from seqarena.tasks.text.language import LanguageTask
from seqarena.tasks.text.masked_language import MaskedLanguageTask
from seqarena.tasks.text.pairs import SummarisingTask, TranslationTask
from seqarena.tasks.text.question_answering import QuestionAnsweringTask
from seqarena.tasks.text.tagging import TaggingTask


def written(folder: Path, **texts: str) -> str:
    for name, text in texts.items():
        (folder / name.replace("_", ".")).write_text(text)
    return str(folder)


def in_chunks(result: BaselineResult, task: Task) -> bool:
    """Whether a result can be paired with what an architecture scores on the task."""
    scores = task.evaluate(_anything(task), "test", 16)
    return len(result.test.chunk_values) == len(scores.chunk_values)


def _anything(task: Task):
    def predict(batch: Batch) -> torch.Tensor:
        if task.generates:
            return torch.zeros(len(batch.targets_BT), 2, dtype=torch.int64)
        return torch.zeros(*batch.targets_BT.shape, task.problem.num_outputs)

    return predict


@pytest.mark.parametrize("kind", TASKS)
def test_every_task_names_its_baselines_and_their_functions_exist(kind: str) -> None:
    rows = baseline_rows(kind)
    assert rows
    assert len({row.name for row in rows}) == len(rows)
    assert task_class(kind).name == kind  # by which a task finds its rows
    for baseline in baselines_of(kind):
        assert isinstance(baseline.score, str)
        assert callable(load_object(baseline.score))
        assert baseline.idea


@pytest.mark.parametrize("tokenizer", ["byte", "char", "bpe:300"])
def test_ngrams_are_scored_exactly_as_a_model_with_the_same_distribution(tokenizer: str) -> None:
    task = build_task(LanguageConfig(tokenizer=tokenizer, sequence_length=40))
    assert isinstance(task, LanguageTask)
    found = language.ngram(task)
    model = KneserNey(task.split_tokens("train"), task.vocab_size)
    while f"order {model.order}" != found.detail:
        assert model.raise_order()

    def predict(batch: Batch) -> torch.Tensor:
        inputs_BT = batch.inputs_BT.numpy()
        each = [
            -model.nats(inputs_BT, np.full_like(inputs_BT, word)) for word in range(task.vocab_size)
        ]
        return torch.from_numpy(np.stack(each, axis=2))

    scores = task.evaluate(predict, "test", 64, 2)
    fast = task.score(
        lambda batch: task.ratios_of_nats(
            torch.from_numpy(model.nats(batch.inputs_BT.numpy(), batch.targets_BT.numpy())), batch
        ),
        "test", 64, 2,
    )  # fmt: skip
    assert fast.value == pytest.approx(scores.value, rel=1e-5)
    np.testing.assert_allclose(fast.chunk_values, scores.chunk_values, rtol=1e-4)
    assert in_chunks(found, task)
    assert found.test.value < 2.0  # far below the 2.3 of a quarter of an hour of training
    assert found.validation is not None


def test_a_compressor_pays_little_for_what_training_has(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    lines = ["".join(map(chr, draw.integers(97, 123, size=60))) for _ in range(400)]
    train = "\n".join(lines)
    for test, low, high in ((train[7_000:12_000], 0.0, 0.2), (train[::-1][:5_000], 4.5, 5.5)):
        data = written(tmp_path, train_txt=train, validation_txt=test, test_txt=test)
        task = build_task(LanguageConfig(data=data))
        assert isinstance(task, LanguageTask)
        found = language.compressor(task)
        assert low <= found.test.value <= high, found.test.value
        assert not found.test.chunk_values  # its cost cannot be parted


def test_a_compressor_is_near_another_program(tmp_path: Path) -> None:
    """bzip2 of all less bzip2 of the training text, on text that repeats nothing far away."""
    task = build_task(LanguageConfig())
    assert isinstance(task, LanguageTask)
    train, test = (
        task.split_tokens(split).astype(np.uint8).tobytes() for split in ("train", "test")
    )
    other = 8 * (len(bz2.compress(train + test)) - len(bz2.compress(train))) / len(test)
    assert language.compressor(task).test.value == pytest.approx(other, rel=0.35)


def test_masked_ngrams_read_what_stands_before_the_hidden_token(tmp_path: Path) -> None:
    """Of an alphabet in its order they know the next letter wherever the last one is shown; of
    letters by chance they know nothing."""
    draw = np.random.default_rng(0)
    texts = {
        "in order": "abcdefghijklmnopqrstuvwxyz" * 400,
        "by chance": "".join(map(chr, draw.integers(97, 123, size=10_400))),
    }
    values = {}
    for name, text in texts.items():
        (tmp_path / f"{name}.txt").write_text(text)
        config = MaskedLanguageConfig(data=str(tmp_path / f"{name}.txt"), tokenizer="char")
        task = build_task(config)
        assert isinstance(task, MaskedLanguageTask)
        found = language.masked_ngram(task)
        assert in_chunks(found, task)
        values[name] = found.test.value
    assert values["in order"] < 1.5  # about 14 % of the last letters are hidden or others
    assert values["by chance"] == pytest.approx(math.log2(26), abs=0.15)


def labelled(folder: Path, train: str, test: str, **fields: object) -> ClassificationTask:
    data = written(folder, train_txt=train, validation_txt=test, test_txt=test)
    config = parse_task({"kind": "classification", "data": data, "min_count": 1, **fields})
    assert isinstance(config, ClassificationConfig)
    return ClassificationTask(config)


TRAIN = "pos good film\npos good good story\nneg bad film\npos fine\nneg not good\n"
TEST = "pos good story\nneg bad\npos unheard\nneg not good\n"


def test_the_majority_by_hand(tmp_path: Path) -> None:
    task = labelled(tmp_path, TRAIN, TEST)
    found = labels.majority(task)
    assert (found.test.value, found.detail) == (0.5, "pos")
    assert found.test.slices == {"class neg": 0.0, "class pos": 1.0}
    assert found.test.chunk_values == (1.0, 0.0, 1.0, 0.0)


def test_naive_bayes_is_that_of_the_formula(tmp_path: Path) -> None:
    task = labelled(tmp_path, TRAIN, TEST)
    examples = [line.split() for line in TRAIN.strip().split("\n")]
    counts: dict[str, Counter[tuple[str, ...]]] = {"pos": Counter(), "neg": Counter()}

    def features(text: Sequence[str]) -> set[tuple[str, ...]]:
        return {(one,) for one in text} | set(pairwise(text))

    for label, *text in examples:
        counts[label].update(features(text))
    known = set(counts["pos"]) | set(counts["neg"])
    right = []
    for label, *text in (line.split() for line in TEST.strip().split("\n")):
        scores = {}
        for name, own in counts.items():
            prior = sum(one[0] == name for one in examples) / len(examples)
            total = own.total() + len(known)
            scores[name] = math.log(prior) + sum(
                math.log((own[one] + 1) / total) for one in features(text) & known
            )
        right.append(max(scores, key=lambda name: scores[name]) == label)
    found = labels.naive_bayes(task)
    assert found.test.chunk_values == tuple(map(float, right))
    assert found.detail == f"{len(known)} features"
    assert right != [True, False, True, False]  # the majority


def test_naive_bayes_tells_the_two_sentences_apart(tmp_path: Path) -> None:
    """The same words, in the first sentence or in the second, make the class."""
    rows = [{"a": "x", "b": "y", "label": "one"}, {"a": "y", "b": "x", "label": "two"}] * 20
    for split in ("train", "validation", "test"):
        (tmp_path / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    config = parse_task({
        "kind": "classification", "data": str(tmp_path), "text": "a", "text_pair": "b",
    })  # fmt: skip
    assert isinstance(config, ClassificationConfig)
    task = ClassificationTask(config)
    assert labels.naive_bayes(task).test.value == 1.0
    assert labels.majority(task).test.value == 0.5


def test_the_nearest_picture_by_a_loop() -> None:
    task = build_task(PixelsConfig())
    train = task.batch("train", np.arange(task.sizes["train"]))  # type: ignore[attr-defined]
    found = labels.nearest(task)  # type: ignore[arg-type]
    test = next(task.evaluation_batches("test", 40))
    right = []
    for picture_T1, target in zip(test.inputs_BT, test.targets_BT[:, 0]):
        distance_N = (train.inputs_BT - picture_T1).square().sum((1, 2))
        right.append(float(train.targets_BT[distance_N.argmin(), 0] == target))
    assert found.test.value > 0.9
    first = list(found.test.chunk_values[:5])  # chunks of 8 pictures
    assert first == [sum(right[k : k + 8]) / 8 for k in range(0, 40, 8)]


def test_the_look_up_of_tags_by_hand() -> None:
    def sentence(text: str) -> Sentence:
        words, tags = zip(*(pair.rsplit("/", 1) for pair in text.split()))
        return Sentence(words, tags)

    train = [
        sentence("The/D dog/N barks/V"), sentence("a/D dog/N"), sentence("The/D dog/V cat/N"),
        sentence("Will/N will/V will/V"),
    ]  # fmt: skip
    test = [sentence("the/D dog/V Will/N"), sentence("wolf/N will/V WILL/V")]
    config = TaggingConfig(min_count=1)
    task = TaggingTask(config, Tagged(Splits(train, test, test), ("D", "N", "V"), "by hand"))
    found = tagging.look_up(task)
    # the: D of The; dog: N twice, V once; Will: N; wolf: unknown, of words seen once (a barks cat
    # Will) the most are N; will and WILL: V
    assert found.detail == "unknown words are N"
    assert found.test.value == 5 / 6
    assert found.test.chunk_values == (2 / 3, 1.0)
    assert found.test.slices["tag V"] == 2 / 3


def test_pairs_by_hand(tmp_path: Path) -> None:
    train = "go left\tL\ngo right\tR\nrun left\tr L\ngo left\tL\ngo left\tX\n"
    test = "go left\tL\nrun right\trun right\nleft\tL\nrun quickly left\tr L\n"
    data = written(tmp_path, train_tsv=train, validation_tsv=test, test_tsv=test)
    config = parse_task({
        "kind": "translation", "data": data, "metric": "exact", "min_count": 1,
    })  # fmt: skip
    assert isinstance(config, TranslationConfig)
    task = TranslationTask(config)
    assert pairs.copy(task).test.chunk_values == (0.0, 1.0, 0.0, 0.0)
    found = pairs.look_up(task)
    assert found.test.chunk_values == (1.0, 0.0, 0.0, 0.0)
    assert found.detail == "training has 1 of 4 test sources"
    assert pairs.nearest(task).test.chunk_values[3] == 1.0
    assert in_chunks(found, task)


def test_the_lead_is_the_first_sentence() -> None:
    task = build_task(SummarisingConfig())
    assert isinstance(task, SummarisingTask)
    text = "First one. Second one."
    assert pairs._SENTENCE_END.split(text)[0] == "First one."
    assert in_chunks(pairs.lead(task), task)


def test_the_nearest_text_by_cosines_of_dictionaries() -> None:
    draw = np.random.default_rng(0)
    texts = [
        [f"w{k}" for k in draw.zipf(1.6, size=int(draw.integers(1, 9))) % 30] for _ in range(60)
    ]
    known, asked = texts[:45], [*texts[45:], ["never"], []]
    having = Counter(word for text in known for word in set(text))

    def vector(text: list[str]) -> dict[str, float]:
        counts = Counter(word for word in text if word in having)
        weights = {
            word: (1 + math.log(n)) * (math.log(46 / (having[word] + 1)) + 1)
            for word, n in counts.items()
        }
        length = math.sqrt(sum(w * w for w in weights.values())) or 1.0
        return {word: w / length for word, w in weights.items()}

    vectors = [vector(text) for text in known]
    for text, found in zip(asked, NearestText(known).find(asked).tolist()):
        own = vector(text)
        cosines = [sum(own[w] * other.get(w, 0.0) for w in own) for other in vectors]
        assert cosines[found] == pytest.approx(max(cosines), abs=1e-12)


def test_questions_by_hand(tmp_path: Path) -> None:
    story = "1 Ann went to the {place}.\n2 Where is Ann?\t{place}\t1\n3 Is Ann there?\tyes\t1\n"
    train = "".join(story.format(place=place) for place in ("hall", "park", "park"))
    test = "".join(story.format(place=place) for place in ("hall", "park"))
    data = written(tmp_path, train_txt=train, validation_txt=test, test_txt=test)
    task = build_task(QuestionAnsweringConfig(data=data))
    assert isinstance(task, QuestionAnsweringTask)
    assert questions.majority(task).test.chunk_values == (0.0, 1.0, 0.0, 1.0)
    assert questions.kind(task).test.chunk_values == (0.0, 1.0, 1.0, 1.0)
    assert questions.nearest(task).test.chunk_values == (1.0, 1.0, 1.0, 1.0)


def test_sorted_digits_are_guessed_by_their_place() -> None:
    """What the chance level of one half hides: zeros come first. The best guess by position is
    right in 1 - E|ones - N/2| / N of the digits."""
    config = AlgorithmsConfig(problem="sorting", test_bits=(20, 50), evaluation_examples=400)
    task = build_task(config)
    assert probes.chance(task).test.value == 0.5  # type: ignore[arg-type]
    found = probes.position(task)  # type: ignore[arg-type]
    wanted = {
        bits: 1
        - sum(math.comb(bits, k) * abs(k - bits / 2) for k in range(bits + 1)) / 2**bits / bits
        for bits in (20, 50)
    }
    whole = (20 * wanted[20] + 50 * wanted[50]) / 70
    assert found.test.value == pytest.approx(whole, abs=0.01)
    assert found.test.value > 0.9
    assert in_chunks(found, task)
