"""BLEU, chrF and ROUGE-L by hand, and equal to their libraries on the texts of many languages."""

import builtins
import importlib.util
import random
from pathlib import Path

import pytest
import regex
import sacrebleu
import torch
from rouge_score.rouge_scorer import RougeScorer
from torch import Tensor

from seqarena.core.batch import END, IGNORE, Batch
from seqarena.core.errors import UserError
from seqarena.tasks import build_task, parse_task
from seqarena.tasks.text.bleu_tokenizers import choose_tokenizer
from seqarena.tasks.text.pairs import PairsTask
from seqarena.tasks.text.pairs_metrics import Bleu, Exact, RougeL

# language: references, what is written, sacrebleu's tokenizer, what parts words for ROUGE
LANGUAGES = {
    "ru": (
        ["Кошка сидит на окне, а собака спит.", "Завтра мы поедем в Москву!", "Ёлка — зелёная."],
        ["Кошка сидит на окне, и собака ест.", "Завтра мы едем в Москву!", "Елка — зелёная."],
        "13a",
        " ",
    ),
    "hi": (
        ["राम घर जाता है और खाना खाता है।", "सीता किताब पढ़ती है।", "हिन्दी एक भाषा है।"],
        ["राम घर जाता है और पानी पीता है।", "सीता पत्र पढ़ती है।", "हिन्दी भाषा है।"],
        "13a",
        " ",
    ),
    "th": (
        ["แมวนอนอยู่บนเก้าอี้", "ฉันไปโรงเรียนทุกวัน", "วันนี้อากาศดีมาก"],
        ["แมวนั่งอยู่บนเก้าอี้", "เขาไปโรงเรียนทุกวัน", "วันนี้อากาศไม่ดี"],
        "char",
        r"(?!\p{M})",
    ),
    "zh": (
        ["我今天去学校上课。", "他喜欢吃苹果和香蕉。", "今天天气很好。"],
        ["我今天去学校学习。", "他喜欢吃苹果和梨。", "今天天气不好。"],
        "zh",
        "",
    ),
    "ja": (
        ["猫は窓のそばで寝ている。", "私は毎日学校に行きます。", "今日は天気がいいですね。"],
        ["猫は窓のそばで食べている。", "彼は毎日学校に行きます。", "今日は天気が悪いですね。"],
        "ja-mecab" if importlib.util.find_spec("MeCab") else "char",
        "",
    ),
    "ar": (
        ["القطة نائمة على الكرسي، والكلب يأكل.", "أذهب إلى المدرسة كل يوم.", "هل الجو جميل؟"],
        ["القطة جالسة على الكرسي، والكلب نائم.", "يذهب إلى المدرسة كل يوم.", "هل الجو سيئ؟"],
        "13a",
        " ",
    ),
    "de": (
        ["Die Größe der Häuser ist „sehr“ gut.", "Ich gehe morgen zur Schule.", "Schön, nicht?"],
        ["Die Grösse der Häuser ist „sehr“ gleich.", "Ich gehe heute zur Schule.", "Schön, oder?"],
        "13a",
        " ",
    ),
}  # fmt: skip
by_language = pytest.mark.parametrize("language", LANGUAGES)


def task_of(language: str, folder: Path, **settings: object) -> PairsTask:
    """Translation into the language; what is written is in the vocabulary too."""
    references, written = LANGUAGES[language][:2]
    lines = [f"source {k}\t{text}\n" for k, text in enumerate(references + written)]
    (folder / "train.tsv").write_text(f"en\t{language}\n" + "".join(lines * 2), encoding="utf-8")
    held_out = [f"source {k}\t{text}\n" for k, text in enumerate(references)] * 20
    for split in ("validation", "test"):
        (folder / f"{split}.tsv").write_text(
            f"en\t{language}\n" + "".join(held_out), encoding="utf-8"
        )
    extra = {"bleu_tokenizer": LANGUAGES[language][2]} if language == "ja" else {}
    fields = {"kind": "translation", "data": str(folder), "source": "en", "target": language}
    task = build_task(parse_task({**fields, **extra, **settings}))
    assert isinstance(task, PairsTask)
    return task


def writing(task: PairsTask, texts: list[str]):
    """What a model that writes one of the texts for each reference gives, by the reference."""
    references, written = LANGUAGES[task.config.target][:2]
    text_of = dict(zip(references, texts or written, strict=True))
    by_tokens = {
        tuple(task.sides.target.encode(reference)): [*task.sides.target.encode(text), END]
        for reference, text in text_of.items()
    }

    def predict(batch: Batch) -> Tensor:
        rows = [
            by_tokens[tuple(row[(row != IGNORE) & (row != END)].tolist())]
            for row in batch.targets_BT
        ]
        longest = max(map(len, rows))
        return torch.tensor([[*map(int, row), *[END] * (longest - len(row))] for row in rows])

    return predict


@by_language
@pytest.mark.parametrize("tokenizer", ["word", "char", "bpe:260"])
@pytest.mark.parametrize("lowercase", [True, False])
def test_bleu_and_chrf_are_those_of_sacrebleu(language, tokenizer, lowercase, tmp_path):
    """On the files' own texts, whatever the model's tokens are."""
    references, written, bleu_tokenizer, _ = LANGUAGES[language]
    task = task_of(language, tmp_path, tokenizer=tokenizer, lowercase=lowercase)
    scores = task.evaluate(writing(task, []), "test", 7)
    theirs = sacrebleu.BLEU(tokenize=bleu_tokenizer, lowercase=lowercase)
    expected = theirs.corpus_score(written * 20, [references * 20])
    assert 5 < expected.score < 90
    assert scores.value == pytest.approx(expected.score, rel=1e-12)
    facts = task.describe()["metric"]
    assert facts["bleu"] == str(theirs.get_signature())
    assert facts["bleu_tokenizer"].startswith(bleu_tokenizer + " (")
    theirs = sacrebleu.CHRF(lowercase=lowercase)
    expected = theirs.corpus_score(written * 20, [references * 20])
    assert scores.slices["chrf"] == pytest.approx(expected.score, rel=1e-12)
    assert facts["chrf"] == str(theirs.get_signature())
    perfect = task.evaluate(writing(task, references), "test", 7)
    assert perfect.value == pytest.approx(100.0)
    assert perfect.slices["chrf"] == pytest.approx(100.0)
    exact = task_of(language, tmp_path, tokenizer=tokenizer, metric="exact")
    assert exact.evaluate(writing(exact, references), "test", 7).value == 1.0
    assert exact.evaluate(writing(exact, []), "test", 7).value == 0.0


@by_language
def test_rouge_is_that_of_the_library_with_words_of_the_script(language):
    """The library's own tokenizer finds no word in most of these."""
    references, written, _, parting = LANGUAGES[language]

    class Words:
        def tokenize(self, text: str) -> list[str]:
            bare = regex.sub(r"[^\w\p{M} ]", "", text.lower())
            pieces = regex.split(parting, bare, flags=regex.VERSION1) if parting != "" else bare
            if language == "ja":
                pieces = regex.findall(r"\p{Katakana}+|.", bare)
            return [piece for piece in pieces if piece.strip()]

    scorer = RougeScorer(["rougeL"], tokenizer=Words())
    for reference, text in zip(references, written):
        expected = 100 * scorer.score(reference, text)["rougeL"].fmeasure
        assert 20 < expected < 95
        assert RougeL().score([text], [reference]) == pytest.approx(expected, rel=1e-12)
        assert RougeL().score([reference], [reference]) == 100.0


def test_rouge_of_english_is_that_of_the_library():
    draw = random.Random(0)
    words = [
        "the",
        "Cat's",
        "U.S.",
        "3.14",
        "a_b",
        "well-known",
        "don't",
        "(x)",
        "http://a.b/c",
        "--",
    ]
    texts = [" ".join(draw.choices(words, k=draw.randint(1, 12))) for _ in range(60)]
    scorer = RougeScorer(["rougeL"])
    for text, reference in zip(texts[::2], texts[1::2]):
        expected = 100 * scorer.score(reference, text)["rougeL"].fmeasure
        assert RougeL().score([text], [reference]) == pytest.approx(expected, abs=1e-12)


def test_rouge_of_other_letters():
    assert RougeL().score(["größe"], ["gr e"]) == 0.0
    assert RougeL().score(["cafe\u0301"], ["CAFÉ"]) == 100.0
    assert RougeL().score(["한국어 말"], ["한국어 글"]) == 50.0


def test_a_summary_in_another_script_can_be_right(tmp_path):
    lines = [f'{{"text": "текст {k}", "summary": "итог {k} готов"}}' for k in range(40)]
    (tmp_path / "train.jsonl").write_text("\n".join(lines), encoding="utf-8")
    task = build_task(parse_task({"kind": "summarising", "data": str(tmp_path), "min_count": 1}))

    def perfect(batch: Batch) -> Tensor:
        return batch.targets_BT.masked_fill(batch.targets_BT == IGNORE, END)

    scores = task.evaluate(perfect, "validation", 8)
    assert scores.value == pytest.approx(100 * 2 / 3)  # the numbers are new, so unknown


@pytest.mark.parametrize(
    ("target", "text", "tokenizer", "reason"),
    [
        ("zh", "今天天气很好。", "zh", "Chinese"),
        ("en", "今天天气很好 in Berlin。", "zh", "Chinese"),  # whatever the column is called
        ("th", "แมวนอนอยู่บนเก้าอี้", "char", "without blanks"),
        ("target", "ພາສາລາວ", "char", "without blanks"),
        ("zh", "Berlin", "13a", "default"),
        ("en", "The 漢字 of Japan are characters", "13a", "default"),
        ("ru", "Привет", "13a", "default"),
        ("en", "1 2 3", "13a", "default"),
    ],
)
def test_the_tokenizer_follows_the_script_of_the_references(target, text, tokenizer, reason):
    found = choose_tokenizer("auto", target, [text])
    assert found.name == tokenizer
    assert reason in found.reason
    assert choose_tokenizer("intl", target, [text]) == ("intl", "as set")


@pytest.mark.parametrize(
    ("target", "text", "package", "extra"),
    [
        ("ja", "東京大学", "MeCab", "japanese"),
        ("output", "今日は天気がいい", "MeCab", "japanese"),
        ("ko", "오늘 날씨가 좋다", "mecab_ko", "korean"),
    ],
)
def test_dictionaries_are_asked_for(target, text, package, extra):
    if importlib.util.find_spec(package):
        assert choose_tokenizer("auto", target, [text]).name == f"{extra[:2]}-mecab".replace(
            "jap", "ja"
        )
        return
    message = rf"'seqarena\[{extra}\]', or --set bleu_tokenizer=char"
    with pytest.raises(UserError, match=message):
        choose_tokenizer("auto", target, [text])


def test_exact_matches_are_of_words():
    assert Exact(lowercase=True).score(["a (b) 好的", "a"], ["A ( b )  好 的", "b"]) == 0.5
    assert Exact().score(["a"], ["A"]) == 0.0


def test_bleu_by_hand():
    """Precisions 5/6, 3/5, 1/4, and 1/3 smoothed to 1/6 as no 4-gram is right; equal lengths."""
    written, reference = "the cat sat on a mat", "the cat sat in a mat"
    expected = 100 * (5 / 6 * 3 / 5 * 1 / 4 * (1 / 2) / 3) ** 0.25
    assert Bleu().score([written], [reference]) == pytest.approx(expected)


def test_rouge_by_hand():
    """Longest common subsequence: police the gunman, 3 of 4 and of 5 words."""
    recall, precision = 3 / 4, 3 / 5
    expected = 100 * 2 * recall * precision / (recall + precision)
    found = RougeL().score(["police ended the gunman now"], ["police killed the gunman"])
    assert found == pytest.approx(expected)
    assert RougeL().score(["a b", ""], ["a b", "c"]) == 50.0


@pytest.mark.parametrize(
    ("package", "kind"), [("sacrebleu", "translation"), ("rouge_score", "summarising")]
)
def test_a_missing_package_is_named_before_any_training(monkeypatch, package, kind):
    original = builtins.__import__

    def without(name: str, *rest, **more):
        if name.partition(".")[0] == package:
            raise ImportError(name)
        return original(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match=rf"pip install 'seqarena\[{kind}\]'"):
        build_task(parse_task({"kind": kind, "data": "not read yet"}))
