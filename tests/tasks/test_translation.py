"""Tasks of pairs: what a model sees, how what it writes is scored, the codec of a checkpoint."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from seqarena.core.batch import END, IGNORE, PAD, START, UNKNOWN, Batch
from seqarena.core.errors import UserError
from seqarena.data.text.pairs import Pair
from seqarena.models.build import build
from seqarena.models.search import greedy
from seqarena.tasks import build_task, parse_task
from seqarena.tasks.base import Split
from seqarena.tasks.registry import load_codec, settings_of
from seqarena.tasks.text.pairs import PairsTask, length_thirds
from seqarena.tasks.text.pairs_codec import learn_sides, side_from_json
from seqarena.tasks.text.pairs_metrics import Exact
from seqarena.train.budget import Budget
from seqarena.train.config import OptimizerConfig, TrainConfig
from seqarena.train.loop import Trainer

NUMBERS = "null eins zwei drei vier fünf sechs sieben acht neun".split()  # noqa: SIM905
ENGLISH = "zero one two three four five six seven eight nine".split()  # noqa: SIM905


def count_to(number: int) -> Pair:
    digits = [int(digit) for digit in str(number)]
    return Pair(
        " ".join(NUMBERS[d] for d in digits) + ".", " ".join(ENGLISH[d] for d in digits) + "."
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("numbers")
    for split, numbers in (
        ("train", range(1, 400)),
        ("val", range(400, 460)),
        ("test", [*range(460, 519), 123456]),
    ):
        lines = ["\t".join(count_to(number)) + "\n" for number in numbers]
        (place / f"{split}.tsv").write_text("".join(lines))
    return place


def make(folder: Path | None, **settings: object) -> PairsTask:
    fields = {"kind": "translation", "data": folder and str(folder), **settings}
    task = build_task(parse_task(fields))
    assert isinstance(task, PairsTask)
    return task


@pytest.fixture(scope="module")
def task(folder) -> PairsTask:
    return make(folder)


def perfect(batch: Batch) -> Tensor:
    """What a model that knows the answers writes."""
    return batch.targets_BT.masked_fill(batch.targets_BT == IGNORE, END)


def all_batches(task: PairsTask, split: Split, batch_size: int) -> list[Batch]:
    return list(task.evaluation_batches(split, batch_size))


def test_a_batch_shows_the_past_and_asks_for_the_next(task):
    batch = task.training_batch(0, 8, seed=3)
    assert batch.source_BS is not None
    assert (batch.inputs_BT[:, 0] == START).all()
    for k in range(len(batch.inputs_BT)):
        asked = batch.targets_BT[k] != IGNORE
        length = int(asked.sum())
        assert asked[:length].all()
        assert batch.targets_BT[k, length - 1] == END
        assert (batch.inputs_BT[k, 1:length] == batch.targets_BT[k, : length - 1]).all()
        assert (batch.inputs_BT[k, length:] == PAD).all()
        if batch.mask_BT is not None:
            assert (batch.mask_BT[k] == asked).all()
        source = task.sides.source.decode(batch.source_BS[k].tolist())
        german, english = source.split(), task.sides.target.decode(batch.targets_BT[k].tolist())
        assert [NUMBERS.index(word) for word in german[:-1]] == [
            ENGLISH.index(word) for word in english.split()[:-1]
        ]


def test_an_epoch_shows_every_pair_once(task):
    steps = task.steps_per_epoch(16)
    seen = [
        tuple(row[row != IGNORE].tolist())
        for index in range(steps)
        for row in task.training_batch(index, 16, seed=1).targets_BT
    ]
    assert len(seen) == len(set(seen)) == 399
    again, other = (task.training_batch(steps, 16, seed=seed).source_BS for seed in (1, 2))
    assert torch.equal(again, task.training_batch(steps, 16, seed=1).source_BS)
    assert again.shape != other.shape or not torch.equal(again, other)


def test_the_source_can_be_reversed(folder, task):
    forwards, backwards = (
        one.training_batch(5, 8, seed=0) for one in (task, make(folder, reverse_source=True))
    )
    for one, other in zip(forwards.source_BS, backwards.source_BS, strict=True):
        assert one[one != PAD].flip(0).tolist() == other[other != PAD].tolist()
        assert (other != PAD)[: int((one != PAD).sum())].all()  # padding stays on the right
    assert torch.equal(forwards.inputs_BT, backwards.inputs_BT)


def test_sizes_are_told(task):
    problem = task.problem
    assert problem.form == "pairs"
    assert problem.vocab_size == problem.num_outputs == len(task.sides.target) == 4 + 10 + 1
    assert problem.source_vocab_size == len(task.sides.source)
    assert problem.max_length == task.sequence_length == 8  # six digits, the point and END
    assert problem.max_source_length == 7
    lengths = [len(str(number)) + 1 for number in range(1, 400)]
    assert task.mean_length == pytest.approx(np.mean([(2 * n + 1) / 2 for n in lengths]))
    json.dumps(task.describe(), allow_nan=False)


@pytest.mark.parametrize("metric", ["bleu", "chrf", "exact"])
def test_who_writes_the_references_gets_full_marks(folder, metric):
    scores = make(folder, metric=metric).evaluate(perfect, "test", 7)
    best = 1.0 if metric == "exact" else 100.0
    assert scores.value == pytest.approx(best)
    assert scores.num_scored == 60
    assert len(scores.chunk_values) == (60 if metric == "exact" else 2)
    assert scores.chunk_values == pytest.approx([best] * len(scores.chunk_values))
    lengths = [name for name in scores.slices if name.startswith("source length")]
    assert lengths == ["source length 4-4", "source length 7-7"]
    assert all(scores.slices[name] == pytest.approx(best) for name in scores.slices)


def test_the_order_of_work_changes_nothing(task):
    """Scores are those of the file's order, whatever the batch size."""
    word = task.sides.target.encode("seven")[0]

    def half_right(batch: Batch) -> Tensor:
        return perfect(batch).masked_fill(batch.targets_BT == word, UNKNOWN)

    small, large = (task.evaluate(half_right, "test", size) for size in (3, 60))
    assert small == large
    assert small.value < 95
    exact = [float("7" not in str(number)) for number in (*range(460, 519), 123456)]
    task.__dict__["_scorer"], kept = Exact(), task.__dict__["_scorer"]
    found = task.evaluate(half_right, "test", 11)
    task.__dict__["_scorer"] = kept
    assert list(found.chunk_values) == exact
    assert found.value == pytest.approx(np.mean(exact))


@pytest.mark.parametrize("lowercase", [True, False])
def test_bleu_and_chrf_are_those_of_sacrebleu_on_the_texts(folder, lowercase):
    """Of what a user reads and what the user's file has."""
    import sacrebleu

    task = make(folder, lowercase=lowercase)

    def shortened(batch: Batch) -> Tensor:
        return perfect(batch)[:, :3]

    scores = task.evaluate(shortened, "test", 16)
    references = [count_to(n).target for n in (*range(460, 519), 123456)]
    written = [" ".join(reference.replace(".", "").split()[:3]) for reference in references]
    expected = sacrebleu.corpus_bleu(written, [references], lowercase=lowercase)
    assert scores.value == pytest.approx(expected.score)
    expected = sacrebleu.metrics.CHRF(lowercase=lowercase).corpus_score(written, [references])
    assert scores.slices["chrf"] == pytest.approx(expected.score)
    parts = [
        sacrebleu.corpus_bleu(written[part], [references[part]], lowercase=lowercase).score
        for part in (slice(30), slice(30, 60))
    ]
    assert scores.chunk_values == pytest.approx(parts)
    facts = task.describe()["metric"]
    assert f"case:{'lc' if lowercase else 'mixed'}|eff:no|tok:13a" in facts["bleu"]
    assert facts["bleu_tokenizer"] == "13a (sacrebleu's default)"
    swapped = make(folder, lowercase=lowercase, metric="chrf").evaluate(shortened, "test", 16)
    assert swapped.value == scores.slices["chrf"]
    assert swapped.slices["bleu"] == scores.value


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({"tokenizer": "char"}, "char"),
        ({"tokenizer": "bpe:270"}, "pieces"),
        ({"tokenizer": "bpe:280", "shared_vocabulary": True}, "pieces"),
        ({"shared_vocabulary": True}, "word"),
        ({"lowercase": False, "min_count": 1}, "word"),
    ],
)
def test_tokens_and_back(folder, settings, kind):
    task = make(folder, **settings)
    scores = task.evaluate(perfect, "test", 8)
    assert scores.value == pytest.approx(100.0)
    if settings.get("shared_vocabulary"):
        assert task.problem.vocab_size == task.problem.source_vocab_size
        assert task.problem.shared_vocabulary
    assert json.loads(task.artifacts()["target"])["kind"] == kind
    codec = load_codec(task.config, task.artifacts())
    assert codec.generates
    assert codec.max_length == task.sequence_length
    batch = codec.encode(["vier sechs null.", "eins."])
    wanted = [task.sides.source.encode(text).tolist() for text in ("vier sechs null.", "eins.")]
    assert [row[row != PAD].tolist() for row in batch.source_BS] == wanted
    assert batch.inputs_BT.tolist() == [[START], [START]]
    tokens = [*task.sides.target.encode("four six."), END, END]
    (answer,) = codec.decode(torch.tensor([tokens]), batch)
    assert answer.text.replace(" ", "") == "foursix."


def test_pieces_of_many_texts_at_once(folder):
    config = parse_task({"kind": "translation", "data": "x", "tokenizer": "bpe:290"})
    side = learn_sides(config, [count_to(number) for number in range(99)]).target
    texts = ["Four  six.", "x", "línea\u2028über", "a\tb \n c", "one."]
    together = side.encode_all(texts)
    assert [row.tolist() for row in together] == [side.encode(text).tolist() for text in texts]
    assert side.decode(together[3]) == "a b c"
    assert side.encode_all([]) == []
    again = side_from_json(side.to_json())
    assert again.encode("Six über").tolist() == side.encode("six über").tolist()


def test_what_is_rare_or_new_is_unknown_and_never_right(tmp_path):
    lines = ["gut\tgood"] * 20 + ["selten\trare"]
    (tmp_path / "train.tsv").write_text("\n".join(lines))
    (tmp_path / "dev.tsv").write_text("selten\trare\n")
    (tmp_path / "test.tsv").write_text("selten\trare\ngut\tgood\n")
    task = make(tmp_path, metric="exact")
    (batch,) = task.evaluation_batches("test", 2)
    assert batch.targets_BT[:, 0].tolist() == [UNKNOWN, 4]
    assert task.evaluate(perfect, "test", 2).chunk_values == (0.0, 1.0)
    assert task.describe()["also_in_training"]["test"] == 2


def test_long_pairs(folder):
    task = make(folder, max_length=3, metric="exact")
    facts = task.describe()
    assert facts["training_pairs_left_out"] == 300  # three digits and a point are four words
    assert facts["cut"] == {"train": 0, "validation": 60, "test": 60}
    assert task.sequence_length == 4
    assert task.max_source_length == 3
    assert task.evaluate(perfect, "test", 8).value == 0.0  # the reference is whole
    with pytest.raises(UserError, match=r"fits into max_length 1: the shortest needs 2"):
        make(folder, max_length=1)


def test_a_long_text_is_cut_to_be_summarised(folder, tmp_path):
    task = build_task(parse_task({"kind": "summarising", "data": str(folder), "max_length": 3}))
    assert task.metric == "rouge_l"
    assert task.describe()["training_pairs_left_out"] == 300  # the target is as long
    lines = [json.dumps({"text": "a b c d e f " * 9, "summary": "a b"})] * 30
    (tmp_path / "train.jsonl").write_text("\n".join(lines))
    fields = {"kind": "summarising", "data": str(tmp_path), "max_length": 5}
    task = build_task(parse_task(fields))
    assert task.describe()["training_pairs_left_out"] == 0
    assert task.describe()["cut"] == {"train": 24, "validation": 3, "test": 3}
    assert task.training_batch(0, 4, seed=0).source_BS.shape[1] == 5


@pytest.mark.parametrize("name", ["gru", "attention"])
def test_padding_changes_nothing(task, name):
    model = build(name, problem=task.problem, width=16, depth=2, seed=0).double().eval()
    (batch,) = task.evaluation_batches("test", 60)
    assert batch.source_mask_BS is not None
    chosen = [0, 59]
    with torch.no_grad():
        together = model.answer(batch)
        written = greedy(model, batch, task.sequence_length)
        for k in chosen:
            length = int((batch.targets_BT[k] != IGNORE).sum())
            size = int(batch.source_mask_BS[k].sum())
            alone = Batch(
                batch.inputs_BT[k : k + 1, :length],
                batch.targets_BT[k : k + 1, :length],
                source_BS=batch.source_BS[k : k + 1, :size],
            )
            torch.testing.assert_close(
                model.answer(alone)[0], together[k, :length], rtol=1e-9, atol=1e-9
            )
            row = greedy(model, alone, task.sequence_length)[0]
            text = task.sides.target.decode
            assert text(row.tolist()) == text(written[k].tolist())


def test_a_gru_learns_to_count(tmp_path):
    """From nothing to most of the numbers that it never saw, by training and greedy writing."""
    for split, chosen in (("train", {0, 2, 3, 4, 5}), ("val", {1}), ("test", {1})):
        lines = ["\t".join(count_to(n)) + "\n" for n in range(400) if n % 6 in chosen]
        (tmp_path / f"{split}.tsv").write_text("".join(lines))
    task = make(tmp_path, metric="exact")
    model = build("gru", problem=task.problem, width=48, depth=1, seed=0)
    settings = TrainConfig(
        budget=Budget(epochs=10), optimizer=OptimizerConfig(learning_rate=1e-2), batch_size=16
    )
    trainer = Trainer(model, task, settings)
    before = task.evaluate(trainer.predict, "validation", 67).value
    losses = [record.loss_nats for record in trainer.steps()]
    after = task.evaluate(trainer.predict, "validation", 67).value
    assert before == 0.0
    assert after > 0.7
    assert losses[-1] < 0.1 * losses[0]


def test_a_budget_in_tokens_counts_both_sides(task):
    model = build("gru", problem=task.problem, width=8, depth=1, seed=0)
    trainer = Trainer(model, task, TrainConfig(budget=Budget(tokens=9_000), batch_size=16))
    for _ in trainer.steps():
        pass
    assert trainer.progress.tokens == pytest.approx(9_000, rel=0.05)


def test_mistakes(folder):
    codec = load_codec(make(folder).config, make(folder).artifacts())
    with pytest.raises(UserError, match=r"'  ' is empty"):
        codec.encode(["eins.", "  "])
    with pytest.raises(UserError, match=r"has 9 tokens, the model was made for 7"):
        codec.encode(["eins " * 9])
    with pytest.raises(UserError, match="no word occurs 1000 times"):
        make(folder, min_count=1000)
    with pytest.raises(UserError, match="the training text gives only"):
        make(folder, tokenizer="bpe:5000")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"tokenizer": "byte"}, "unknown tokenizer 'byte'"),
        ({"tokenizer": "bpe:9"}, "N counts the 256 bytes"),
        ({"encoding": "utf-9"}, "translation: unknown encoding 'utf-9'"),
        ({"source": "en"}, "translation: source and target are both 'en'"),
        ({"metric": "bleurt"}, "metric = 'bleurt'"),
        ({"max_length": 0}, "max_length = 0"),
    ],
)
def test_settings_that_cannot_be(fields, message):
    with pytest.raises(UserError, match=message):
        parse_task({"kind": "translation", "data": "x", **fields})


def test_the_digest_follows_what_matters(folder, task):
    assert make(folder).digest() == task.digest()
    changed = [
        make(folder, **s) for s in ({"metric": "exact"}, {"min_count": 9}, {"max_length": 9})
    ]
    assert len({task.digest(), *(one.digest() for one in changed)}) == 4


def test_dates_need_no_settings():
    config = parse_task({"kind": "translation"})
    assert (config.tokenizer, config.metric) == ("char", "exact")
    assert parse_task(json.loads(config.model_dump_json())) == config
    assert parse_task({"kind": "translation", "data": "x"}).tokenizer == "word"
    assert parse_task({"kind": "translation", "tokenizer": "bpe:300"}).tokenizer == "bpe:300"
    assert settings_of("translation")["max_length"] == (100, "Tokens of either side.")
    task = make(None)
    batch = all_batches(task, "test", 1000)[0]
    assert task.sides.target.decode(batch.targets_BT[0].tolist()).count("-") == 2
    assert task.evaluate(perfect, "test", 1000).value == 1.0


def test_thirds_of_equal_lengths():
    assert {name: len(here) for name, here in length_thirds(np.array([4] * 9)).items()} == {
        "source length 4-4": 9
    }


def test_multi30k(real_data):
    task = make(real_data / "multi30k-en-de")
    facts = task.describe()
    assert facts["pairs"] == {"train": 29_000, "validation": 1_014, "test": 1_000}
    assert 5_800 < facts["vocab_size"] < 6_000  # 5,893 with another tokenizer in the reference
    assert 7_700 < facts["source_vocab_size"] < 8_000
    assert facts["training_pairs_left_out"] == 0
    scores = task.evaluate(perfect, "test", 128)
    # what is not in the vocabulary cannot be written: <unknown> is three wrong words to sacrebleu
    assert 91 < scores.value < 93
    assert len(scores.chunk_values) == 20


@pytest.mark.parametrize(
    ("split", "train", "longest"), [("simple", 16_728, 48), ("length", 16_990, 48)]
)
def test_scan(real_data, split, train, longest):
    task = make(real_data / "scan" / f"tasks_*_{split}.txt.gz", metric="exact")
    pairs = task.describe()["pairs"]
    assert pairs["train"] + pairs["validation"] == train
    assert pairs["test"] == {"simple": 4_182, "length": 3_920}[split]
    assert task.sequence_length == longest + 1
    assert task.vocab_size == 4 + 6
    assert task.describe()["source_vocab_size"] == 4 + 13
    assert task.describe()["also_in_training"]["test"] == 0
    assert task.evaluate(perfect, "test", 500).value == 1.0
