"""Tagging: spans against seqeval, accuracy and slices by hand, errors, and answers in words."""

import math
import random
import warnings
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from seqarena.core.batch import IGNORE, UNKNOWN, Batch
from seqarena.core.errors import UserError
from seqarena.data.files.examples import Splits
from seqarena.data.text.tagged import Sentence, Tagged
from seqarena.models.build import build
from seqarena.tasks import build_task
from seqarena.tasks.baselines.tagging import look_up
from seqarena.tasks.configs import TaggingConfig
from seqarena.tasks.registry import load_codec, parse_task
from seqarena.tasks.text.tagging import TaggingTask, names_spans, spans
from seqarena.tasks.text.tagging_codec import TaggingCodec, WordEncoder
from seqarena.train.budget import Budget
from seqarena.train.config import OptimizerConfig, TrainConfig
from seqarena.train.loop import Trainer

BIO = ("B-loc", "B-per", "I-loc", "I-per", "O")


def sentence(text: str) -> Sentence:
    words, tags = zip(*(pair.rsplit("/", 1) for pair in text.split()))
    return Sentence(words, tags)


PLAIN = Splits(
    [sentence("The/D dog/N barks/V"), sentence("a/D dog/N"), sentence("The/D cat/N sleeps/V")],
    [sentence("the/D cat/N")],
    [sentence("The/D wolf/N sleeps/V"), sentence("a/D cat/N")],
)
NAMED = Splits(
    [sentence("Ann/B-per Lee/I-per saw/O Rome/B-loc"), sentence("New/B-loc York/I-loc")],
    [sentence("Ann/B-per slept/O")],
    [sentence("Ann/B-per Lee/I-per saw/O Oslo/B-loc"), sentence("it/O rained/O")],
)


def task_of(splits: Splits, tags: tuple[str, ...], **fields: object) -> TaggingTask:
    config = parse_task({"kind": "tagging", "min_count": 1, **fields})
    assert isinstance(config, TaggingConfig)
    return TaggingTask(config, Tagged(Splits(*map(list, splits)), tags, "by hand"))


def logits(task: TaggingTask, rows: list[list[str]], length: int) -> Tensor:
    """Logits whose argmax spells the tags."""
    found = torch.zeros(len(rows), length, len(task.tags))
    for row, tags in enumerate(rows):
        for place, tag in enumerate(tags):
            found[row, place, task.tags.index(tag)] = 5.0
    return found


def saying(task: TaggingTask, rows: list[list[str]]):
    return lambda batch: logits(task, rows, batch.inputs_BT.shape[1])


def test_spans_are_those_of_the_conll_script() -> None:
    assert spans(["I-x", "I-x", "O", "I-y"]) == [("x", 0, 2), ("y", 3, 4)]  # begun by I-
    assert spans(["B-x", "B-x", "I-x"]) == [("x", 0, 1), ("x", 1, 3)]
    assert spans(["B-x", "I-y", "I-x"]) == [("x", 0, 1), ("y", 1, 2), ("x", 2, 3)]
    assert spans(["O", "O"]) == []
    assert spans(["B-creative-work"]) == [("creative-work", 0, 1)]


MARKS = {"IOB": "BI", "BIOES": "BIES"}
KINDS = {
    "latin": ("loc", "per"),
    "russian": ("место", "человек"),
    "hindi": ("व्यक्ति", "स्थान"),
    "thai": ("คน", "สถานที่"),
    "chinese": ("人物", "地点"),
    "japanese": ("人名", "場所-国"),
    "arabic": ("شخص", "مكان"),
    "german": ("Straße", "Größe_Ort"),
}


@pytest.mark.parametrize("kinds", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("marks", MARKS.values(), ids=MARKS)
def test_f1_equals_seqeval_on_random_tags(marks: str, kinds: tuple[str, ...]) -> None:
    """Most of the random rows break their scheme's rules."""
    from seqeval.metrics import f1_score, precision_score, recall_score

    rng = random.Random(0)
    tags = (*(f"{mark}-{kind}" for mark in marks for kind in kinds), "O")
    rows = [rng.randint(1, 9) for _ in range(60)]
    truth, guess = (
        [[rng.choice(tags) for _ in range(length)] for length in rows] for _ in range(2)
    )
    # half of the guesses right, so that the score is neither 0 nor 1
    guess = [t if rng.random() < 0.5 else g for t, g in zip(truth, guess)]
    test = [Sentence(("w",) * len(row), tuple(row)) for row in truth]
    task = task_of(NAMED._replace(train=test, validation=test, test=test), tuple(sorted(tags)))
    assert task.metric == "span_f1"
    (batch,) = task.evaluation_batches("test", 60)
    found = task.ratios(logits(task, guess, 9), batch)
    total = found.numerators_B.sum() / found.denominators_B.sum()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert 0.3 < total < 0.9
        assert total == pytest.approx(f1_score(truth, guess), rel=1e-12)
        shares = {name: right / count for name, (right, count) in found.slices.items()}
        assert shares["precision"] == pytest.approx(precision_score(truth, guess), rel=1e-12)
        assert shares["recall"] == pytest.approx(recall_score(truth, guess), rel=1e-12)
        for kind, value in zip(sorted(kinds), f1_score(truth, guess, average=None)):
            assert shares[f"span {kind}"] == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("scheme", ["IOB1", "IOB2", "IOBES", "BILOU"])
def test_spans_equal_seqeval_in_every_scheme(scheme: str) -> None:
    """Random spans, some next to each other, written by each scheme's rules."""
    from seqeval import scheme as schemes

    rng = random.Random(1)
    for _ in range(200):
        tags: list[str] = []
        wanted = []
        while len(tags) < 12:
            kind, length = rng.choice(("", "人物", "地点")), rng.randint(1, 3)
            if kind:
                wanted.append((kind, len(tags), len(tags) + length))
            tags += spelled(scheme, kind, length, tags)
        assert spans(tags) == wanted
        theirs = schemes.Entities([tags], getattr(schemes, scheme)).entities[0]
        assert [(one.tag, one.start, one.end) for one in theirs] == wanted


def spelled(scheme: str, kind: str, length: int, before: list[str]) -> list[str]:
    """The tags of one span behind others, or of words outside."""
    if not kind:
        return ["O"] * length
    if scheme == "IOB1":
        touches = bool(before) and before[-1].endswith(f"-{kind}")
        marks = ("B" if touches else "I") + "I" * (length - 1)
    elif scheme == "IOB2":
        marks = "B" + "I" * (length - 1)
    else:
        last, single = "LU" if scheme == "BILOU" else "ES"
        marks = single if length == 1 else "B" + "I" * (length - 2) + last
    return [f"{mark}-{kind}" for mark in marks]


def test_accuracy_and_its_slices_by_hand() -> None:
    task = task_of(PLAIN, ("D", "N", "V"))
    answers = [["D", "V", "V"], ["D", "N"]]  # "wolf" is wrong
    scores = task.evaluate(saying(task, answers), "test", 2)
    assert task.metric == "accuracy"
    assert scores.value == pytest.approx(4 / 5)
    assert scores.num_scored == 5
    assert scores.chunk_values == (pytest.approx(2 / 3), 1.0)
    assert scores.slices == {
        "tag D": 1.0, "tag N": 0.5, "tag V": 1.0, "seen words": 1.0, "unseen words": 0.0,
    }  # fmt: skip


def test_f1_and_its_slices_by_hand() -> None:
    task = task_of(NAMED, BIO)
    answers = [["B-per", "O", "O", "B-loc"], ["O", "B-loc"]]
    scores = task.evaluate(saying(task, answers), "test", 2)
    # right: Oslo. Predicted: Ann, Oslo, rained. True: Ann Lee, Oslo.
    assert task.metric == "span_f1"
    assert scores.value == pytest.approx(2 / 5)
    assert scores.slices["precision"] == pytest.approx(1 / 3)
    assert scores.slices["recall"] == pytest.approx(1 / 2)
    assert scores.slices["span loc"] == pytest.approx(2 / 3)
    assert scores.slices["span per"] == 0.0
    assert scores.slices["spans with unseen words"] == pytest.approx(2 / 3)  # Oslo, rained
    assert scores.slices["spans of seen words"] == 0.0


def test_a_sentence_without_spans_neither_helps_nor_harms() -> None:
    task = task_of(NAMED, BIO)
    perfect = [list(s.tags) for s in NAMED.test]
    scores = task.evaluate(saying(task, perfect), "test", 2)
    assert scores.value == 1.0
    assert scores.chunk_values == (1.0, 1.0)  # the second has nothing to find
    nothing = task.evaluate(saying(task, [["O"] * 4, ["O"] * 2]), "test", 2)
    assert nothing.value == 0.0
    assert all(math.isfinite(value) for value in nothing.chunk_values)


def test_logits_that_are_no_numbers_are_wrong() -> None:
    for splits, tags in ((PLAIN, ("D", "N", "V")), (NAMED, BIO)):
        task = task_of(splits, tags)
        truth = [list(s.tags) for s in splits.test]

        def broken(batch: Batch, task: TaggingTask = task, truth: list = truth) -> Tensor:
            return logits(task, truth, batch.inputs_BT.shape[1]) * math.nan

        assert task.evaluate(broken, "test", 2).value == 0.0


def test_words_in_lower_case_letters_with_case_and_rare_words_unknown() -> None:
    task = task_of(PLAIN, ("D", "N", "V"), min_count=2)
    (batch,) = task.evaluation_batches("test", 2)
    words = task.encoder.words
    assert words.decode(batch.inputs_BT[0].tolist()) == ["the", "<unknown>", "<unknown>"]
    assert batch.targets_BT.tolist() == [[0, 1, 2], [0, 1, IGNORE]]
    assert batch.mask_BT is not None
    assert batch.mask_BT.tolist() == [[True] * 3, [True, True, False]]
    assert batch.characters_BTC is not None
    letters = task.encoder.letters
    assert letters is not None
    spelled = ["".join(letters.decode(row.tolist())) for row in batch.characters_BTC[0]]
    assert spelled[0] == "The"
    assert spelled[2] == "sleeps"
    assert not batch.characters_BTC[1, 2].any()
    assert UNKNOWN in batch.characters_BTC[0, 1]  # no w in training
    assert task.problem.num_characters == len(letters)


def test_a_word_is_the_same_however_it_is_typed() -> None:
    test = [sentence("Zoe\u0301/N sleeps/V"), sentence("Zoé/N barks/V")]
    train = [sentence("Zoé/N barks/V"), sentence("Zoé/N sleeps/V")]
    task = task_of(Splits(train, train, test), ("N", "V"))
    typed, composed = (task.encoder.encode(s.words) for s in test)
    assert typed.words_T[0] == composed.words_T[0] != UNKNOWN
    assert typed.letters_TC is not None
    assert composed.letters_TC is not None
    assert typed.letters_TC[0].tolist() == composed.letters_TC[0].tolist()
    assert task.describe()["unseen_test_words"] == 0.0


def test_without_spelling_words_keep_their_case() -> None:
    task = task_of(PLAIN, ("D", "N", "V"), spelling=False)
    assert "The" in task.encoder.words
    (batch,) = task.evaluation_batches("test", 2)
    assert batch.characters_BTC is None
    assert task.problem.num_characters == 0


def test_long_words_keep_both_ends() -> None:
    task = task_of(PLAIN, ("D", "N", "V"))
    encoded = task.encoder.encode(["b" * 20 + "arks" * 5])
    assert encoded.letters_TC is not None
    assert encoded.letters_TC.shape == (1, 24)
    assert task.encoder.letters is not None
    spelled = task.encoder.letters.decode(encoded.letters_TC[0].tolist())
    assert "".join(spelled) == "b" * 12 + "arks" * 3


def test_training_batches_are_functions_of_seed_and_index_and_cover_an_epoch() -> None:
    task = task_of(PLAIN._replace(train=20 * PLAIN.train), ("D", "N", "V"))
    first, again = (task.training_batch(3, 8, seed=1) for _ in range(2))
    assert torch.equal(first.inputs_BT, again.inputs_BT)
    other = [task.training_batch(k, 8, seed=2).inputs_BT.tolist() for k in range(5)]
    assert other != [task.training_batch(k, 8, seed=1).inputs_BT.tolist() for k in range(5)]
    steps = task.steps_per_epoch(8)
    assert steps is not None
    asked = sum(
        int((task.training_batch(k, 8, seed=1).targets_BT != IGNORE).sum()) for k in range(steps)
    )
    assert asked == task.describe()["splits"]["train"]["words"]


def test_facts_and_digest() -> None:
    task = task_of(PLAIN, ("D", "N", "V"))
    facts = task.describe()
    assert facts["splits"]["test"] == {"sentences": 2, "words": 5}
    assert facts["unseen_test_words"] == pytest.approx(1 / 5)
    changed = PLAIN._replace(test=[sentence("The/D wolf/V")])
    assert task.digest() == task_of(PLAIN, ("D", "N", "V")).digest()
    assert task.digest() != task_of(changed, ("D", "N", "V")).digest()
    assert task.digest() != task_of(PLAIN, ("D", "N", "V"), spelling=False).digest()


def test_long_sentences() -> None:
    with pytest.raises(UserError, match=r"a test sentence has 3 words .* --set max_length=3"):
        task_of(PLAIN, ("D", "N", "V"), max_length=2)
    short = PLAIN._replace(test=[sentence("a/D cat/N")])
    assert task_of(short, ("D", "N", "V"), max_length=2).describe()["too_long_for_training"] == 2


def test_which_tags_name_spans() -> None:
    assert names_spans(BIO)
    assert names_spans(("B-per", "O", "S-per"))
    assert names_spans(("I-per", "O"))
    assert names_spans(("U-Ort", "L-Ort"))
    assert not names_spans(("D", "N", "V"))
    assert not names_spans(("O",))
    assert not names_spans(("S-", "B-per"))
    assert not names_spans(("-LRB-", "O"))


def test_a_checkpoint_alone_tags_a_sentence() -> None:
    task = task_of(PLAIN, ("D", "N", "V"))
    codec = load_codec(task.config, task.artifacts())
    assert isinstance(codec, TaggingCodec)
    batch = codec.encode(['The dog barks "loudly".', "a cat"])
    assert batch.mask_BT is not None
    assert batch.mask_BT.sum(1).tolist() == [7, 2]
    assert (batch.targets_BT == IGNORE).all()
    known = task.encoder.batch([task.encoder.encode(("a", "cat"))], None)
    assert torch.equal(batch.inputs_BT[1, :2], known.inputs_BT[0])
    scores = logits(task, [["D", "N", "V", "D", "V", "D", "D"], ["D", "N"]], 7)
    first, second = codec.decode(scores, batch)
    assert first.text == 'The/D dog/N barks/V "/D loudly/V "/D ./D'
    assert second.text == "a/D cat/N"
    assert second.confidence == pytest.approx((math.exp(5) / (math.exp(5) + 2)) ** 2)
    with pytest.raises(UserError, match="has 0 words"):
        codec.encode(["  "])


@pytest.mark.parametrize("name", ["bi_lstm_tagger", "bi_lstm_crf"])
def test_taggers_learn_that_a_tag_depends_on_the_word_before(name: str) -> None:
    """Of two words alike the second is Y: the words alone say nothing."""
    rng = np.random.default_rng(0)

    def drawn(count: int) -> list[Sentence]:
        rows = rng.choice(["a", "b"], size=(count, 7))
        return [
            Sentence(tuple(row), ("X", *("Y" if p == q else "X" for p, q in pairwise(row))))
            for row in rows
        ]

    task = task_of(Splits(drawn(200), drawn(20), drawn(50)), ("X", "Y"))
    assert look_up(task).test.value < 0.65
    torch.manual_seed(0)
    model = build(name, problem=task.problem, width=12)
    settings = TrainConfig(
        budget=Budget(steps=120), batch_size=16, optimizer=OptimizerConfig(learning_rate=3e-2)
    )
    trainer = Trainer(model, task, settings)
    for _ in trainer.steps():
        pass
    assert task.evaluate(trainer.predict, "test", 50).value > 0.97


def test_real_sets_are_read_as_what_they_are(real_data: Path) -> None:
    task = build_task(TaggingConfig(data=str(real_data / "wnut17")))
    assert task.metric == "span_f1"
    facts = task.describe()
    assert facts["splits"]["test"] == {"sentences": 1287, "words": 23394}
    assert look_up(task).test.value < 0.3
    (batch,) = task.evaluation_batches("test", 1287)
    tags = [[task.tags[k] for k in row[row != IGNORE]] for row in batch.targets_BT.numpy()]
    assert sum(len(spans(row)) for row in tags) == 1079  # as the shared task counts them


SPLIT = ("Mr.", "Smith", "went", "to", "the", "U.S.", ":-)", ".")


@pytest.mark.parametrize("spelling", [True, False])
def test_words_that_are_apart_already_stay_as_training_had_them(spelling: bool) -> None:
    known = WordEncoder.build([Sentence(SPLIT, ("O",) * 8)], 1, spelling)
    codec = TaggingCodec(known, ["O", "B-x"], 512)

    def read(text: str) -> list[str]:
        codec.encode([text])
        return codec._sentences[0]

    assert read(" ".join(SPLIT)) == list(SPLIT)
    assert read("Dr. No , of the E.U. .") == ["Dr.", "No", ",", "of", "the", "E.U.", "."]
    assert read("Mr. Smith left (twice).") == ["Mr.", "Smith", "left", "(", "twice", ")", "."]
    assert read("Dr.\x1f10 000\x1f") == ["Dr.", "10 000"]
    assert read("etc.\x1f") == ["etc."]
    assert read("Mr. No\tleft") == ["Mr.", "No", "left"]
    assert read("etc.") == ["etc", "."]
