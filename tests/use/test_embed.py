"""Embeddings: each pooling against what the model computes of one text alone, files, refusals."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from stored import stored
from test_evaluate import WORDS, pairs, sentences, tagged
from typer.testing import CliRunner

import seqarena as sa
from seqarena.cli import app
from seqarena.core.errors import UserError
from seqarena.models.model import PositionVectors
from seqarena.use.embed import Embedder, pooled, read_texts, write_vectors
from seqarena.use.loading import load_model

Make = Callable[[str, str], Path]
TEXTS = ["a good film", "truly bad .", "good", "what a bad bad film that was", "the good good film"]
TWO = {"text": "first", "text_pair": "second", "label": "label"}


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Checkpoints of untrained models, each built once."""
    known: dict[tuple[str, str], Path] = {}

    def task(kind: str, folder: Path) -> dict[str, object]:
        if kind in ("language", "masked_language"):
            return {"kind": kind, "sequence_length": 32, "tokenizer": "byte"}
        if kind == "two sentences":
            rows = [f"{WORDS[k % 6]},{WORDS[k % 5]} too,{k % 2}" for k in range(40)]
            (folder / "rows.csv").write_text("\n".join(["first,second,label", *rows]))
            return {"kind": "classification", "data": str(folder), **TWO}
        if kind in ("speech", "pixels", "question_answering", "copying", "forecasting"):
            return {"kind": kind}
        files = {"classification": sentences, "tagging": tagged, "translation": pairs}[kind]
        return {"kind": kind, "data": str(folder), **files(folder)[0]}

    def made(name: str, kind: str) -> Path:
        if (name, kind) not in known:
            folder = tmp_path_factory.mktemp("embed")
            (folder / "data").mkdir()
            known[name, kind] = stored(folder / "checkpoint", name, task(kind, folder / "data"))
        return known[name, kind]

    return made


CASES = [
    ("gru", "language", "last"),
    ("attention", "language", "last"),
    ("bert", "masked_language", "mean"),
    ("bi_gru", "masked_language", "mean"),
    ("gru", "classification", "own"),
    ("bi_lstm", "classification", "own"),
    ("bert", "classification", "own"),
    ("text_cnn", "classification", "own"),
    ("self_attention_encoder", "classification", "own"),
    ("gru", "two sentences", "own"),
    ("text_cnn", "two sentences", "own"),
    ("self_attention_encoder", "two sentences", "own"),
    ("mingru", "tagging", "last"),
    ("bi_lstm_crf", "tagging", "mean"),
    ("gru", "translation", "last"),
    ("rnnsearch", "translation", "mean"),
    ("luong_dot", "translation", "mean"),
]


@pytest.mark.parametrize(("name", "kind", "auto"), CASES)
def test_a_text_has_the_same_vector_alone_and_among_others(
    make: Make, name: str, kind: str, auto: str
) -> None:
    embedder = Embedder(make(name, kind))
    assert embedder.pooling == auto
    vectors_NE = embedder(TEXTS)
    assert vectors_NE.dtype == np.float32
    assert vectors_NE.shape == (5, embedder.size)
    alone_NE = np.concatenate([embedder([text]) for text in TEXTS])
    np.testing.assert_allclose(vectors_NE, alone_NE, rtol=1e-4, atol=1e-6)
    assert len(np.unique(vectors_NE.round(6), axis=0)) == 5


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("gru", "head"), ("bi_lstm", "head"), ("bert", "classifier"), ("text_cnn", "head"),
        ("self_attention_encoder", "combine"),
    ],
)  # fmt: skip
def test_own_is_what_the_head_reads(make: Make, name: str, head: str) -> None:
    place = make(name, "classification")
    embedder = Embedder(place, pooling="own")
    _, model = load_model(place)
    seen: list[torch.Tensor] = []
    model.get_submodule(head).register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    with torch.no_grad():
        for text in TEXTS:
            model.answer(embedder._read([text]))
    expected_NE = torch.cat([each.reshape(1, -1) for each in seen]).numpy()
    np.testing.assert_allclose(embedder(TEXTS), expected_NE, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["text_cnn", "self_attention_encoder"])
def test_a_sentence_has_one_vector_wherever_it_stands_of_two(make: Make, name: str) -> None:
    """Both encode each sentence by itself, so that a pair tells the vector of its first."""
    place = make(name, "two sentences")
    embedder = Embedder(place)
    checkpoint, model = load_model(place)
    from seqarena.tasks.registry import load_codec, parse_task

    codec = load_codec(parse_task(checkpoint.about["task"]), checkpoint.about["artifacts"])
    pair = codec.encode([f"{TEXTS[0]}\t{TEXTS[3]}"])
    with torch.no_grad():
        of_pair_BE = model.summary_vector(pair)
    assert of_pair_BE is not None
    np.testing.assert_allclose(embedder(TEXTS[:1]), of_pair_BE.numpy(), rtol=1e-4, atol=1e-6)


def test_poolings_by_hand() -> None:
    x_BTD = torch.tensor([[[1.0, 5.0], [3.0, -1.0], [9.0, 9.0]], [[0.0, 2.0]] * 3])
    real_BT = torch.tensor([[True, True, False], [True, True, True]])
    found = {
        how: pooled(PositionVectors(x_BTD, real_BT, False), how).tolist()
        for how in ("mean", "max", "last")
    }
    assert found == {
        "mean": [[2.0, 2.0], [0.0, 2.0]],
        "max": [[3.0, 5.0], [0.0, 2.0]],
        "last": [[3.0, -1.0], [0.0, 2.0]],
    }


def test_the_mean_of_a_language_model_is_that_of_its_positions(make: Make) -> None:
    place = make("gru", "language")
    _, model = load_model(place)
    tokens_1T = torch.tensor([list(b"a good film")])
    with torch.no_grad():
        expected_D = model.features(tokens_1T)[0].mean(1)[0].numpy()
    found_ND = Embedder(place, pooling="mean")(["good", "a good film"])
    np.testing.assert_allclose(found_ND[1], expected_D, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "kind", "pooling", "words"),
    [
        ("gru", "speech", "auto", "task speech reads files and no texts"),
        ("lenet5", "pixels", "auto", "task pixels reads files and no texts"),
        ("gru", "forecasting", "auto", "task forecasting reads numbers and no texts"),
        ("gru", "copying", "auto", "task copying reads no texts to embed"),
        ("memory_network", "question_answering", "auto", "memory_network has no vectors"),
        ("seq2seq_gru", "translation", "auto", "seq2seq_gru has no vectors of what it reads"),
        ("gru", "language", "own", "gru of this task has no pooling of its own: choose mean"),
        ("text_cnn", "classification", "mean", "no vectors of positions: choose pooling own"),
        ("gru", "language", "meen", "unknown pooling 'meen': did you mean mean"),
    ],
)  # fmt: skip
def test_what_cannot_be_embedded_is_said(
    make: Make, name: str, kind: str, pooling: str, words: str
) -> None:
    with pytest.raises(UserError, match=words):
        Embedder(make(name, kind), pooling=pooling)


@pytest.mark.parametrize(
    ("name", "kind", "text", "words"),
    [
        ("gru", "language", " ", "text 2: it is empty"),
        ("gru", "language", "caf\udce9", "text 2: it is not UTF-8 text"),
        ("attention_learned", "language", "x" * 99, "text 2: it has 99 tokens and the model 32"),
        ("text_cnn", "classification", "a " * 300, "text 2: .*300 words, .* 256 at most"),
        ("gru", "question_answering", "a text", "text 1: .*no story before the question"),
    ],
)
def test_texts_that_cannot_be_read_are_named(
    make: Make, name: str, kind: str, text: str, words: str
) -> None:
    with pytest.raises(UserError, match=words):
        Embedder(make(name, kind))(["good", text])


def test_no_texts_have_no_vectors(make: Make) -> None:
    assert sa.load(make("gru", "language")).embed([]).shape == (0, 16)


def test_files_of_vectors(tmp_path: Path) -> None:
    vectors_NE = np.random.default_rng(0).standard_normal((2, 3)).astype(np.float32)
    texts = ['say "a, b"', "ein Bär"]
    for suffix in ("npy", "csv", "parquet"):
        beside = write_vectors(tmp_path / f"v.{suffix}", texts, vectors_NE, {"pooling": "mean"})
        assert json.loads(beside.read_text()) == {"pooling": "mean", "texts": 2}
    np.testing.assert_array_equal(np.load(tmp_path / "v.npy"), vectors_NE)
    table = __import__("pandas").read_csv(
        tmp_path / "v.csv", dtype={f"v{k}": "float32" for k in range(3)}
    )
    assert list(table.text) == texts
    np.testing.assert_array_equal(table[["v0", "v1", "v2"]].to_numpy(), vectors_NE)
    from pyarrow.parquet import read_table

    rows = read_table(tmp_path / "v.parquet")
    assert rows["text"].to_pylist() == texts
    np.testing.assert_array_equal(np.array(rows["vector"].to_pylist(), np.float32), vectors_NE)
    assert not list(tmp_path.glob("*.new"))
    with pytest.raises(UserError, match=r"must end in \.npy, \.csv, \.parquet"):
        write_vectors(tmp_path / "v.txt", texts, vectors_NE, {})


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.txt", b"one\ttwo\ngood\t1\n", r"a\.txt: its lines have tabs, .*name the --column"),
        ("a.txt", b"good\n\nbad\n", r"a\.txt, text 2: it is empty"),
        ("a.txt", b"", r"a\.txt holds no text"),
        ("a.txt", b"caf\xe9\n", r"a\.txt"),
        ("a.csv", b"one,two\n1,2\n", r"a\.csv.*text"),
    ],
)
def test_files_of_texts_that_are_bad_are_named(
    tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=words):
        read_texts(tmp_path / name)


def test_a_column_is_read_by_its_name_alone(tmp_path: Path) -> None:
    table = tmp_path / "a.txt"
    table.write_text("one\ttwo\ngood\tbad\n")
    assert read_texts(table, "two") == ["bad"]
    with pytest.raises(UserError, match=r"a\.txt has no column 'three'"):
        read_texts(table, "three")
    with pytest.raises(UserError, match="has no column 'two'"):
        read_texts(tmp_path, "two")
    table.write_text("good\nbad\n")
    assert read_texts(table) == ["good", "bad"]


def call(*words: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(word) for word in words])
    return result.exit_code, result.stdout, result.stderr


def test_the_command_line(make: Make, tmp_path: Path) -> None:
    place = make("bi_lstm", "classification")
    table = tmp_path / "texts.csv"
    table.write_text("id,body\n" + "".join(f"{k},{text}\n" for k, text in enumerate(TEXTS)))
    out = tmp_path / "v.npy"
    code, said, _ = call(
        "embed", place, table, "--out", out, "--column", "body", "--pooling", "max"
    )
    assert code == 0
    assert "5 vectors of 16 numbers from bi_lstm, pooling max" in " ".join(said.split())
    expected_NE = sa.embed(place, TEXTS, pooling="max")
    np.testing.assert_array_equal(np.load(out), expected_NE)
    about = json.loads((tmp_path / "v.npy.json").read_text())
    assert (about["pooling"], about["texts"], about["column"]) == ("max", 5, "body")
    code, said, _ = call("embed", place, table, "--out", out, "--column", "body", "--json")
    assert (code, json.loads(said)["pooling"]) == (0, "own")


def test_mistakes_on_the_command_line(make: Make, tmp_path: Path) -> None:
    place, texts = make("text_cnn", "classification"), tmp_path / "texts.txt"
    texts.write_text("good\n" + "bad " * 300 + "\n")
    for words, expected in (
        ((place, texts, "--out", tmp_path / "v.npy"), "texts.txt, text 2: "),
        ((place, texts, "--out", tmp_path / "v.bin"), "must end in .npy, .csv, .parquet"),
        ((place, tmp_path / "none.txt", "--out", tmp_path / "v.npy"), "none.txt"),
        ((tmp_path, texts, "--out", tmp_path / "v.npy"), str(tmp_path)),
    ):
        code, said, complained = call("embed", *words)
        assert (code, said) == (2, "")
        assert expected in complained
        assert complained.count("\n") == 1
    assert not list(tmp_path.glob("v.*"))
