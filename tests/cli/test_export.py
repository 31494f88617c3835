"""`seqarena export` on runs: the file that is asked for, what it says, and what is refused."""

import json
from pathlib import Path

import pytest
from walk import call

from seqarena.models.export.c import check as c_check

onnxruntime = pytest.importorskip("onnxruntime")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_onnx_holds_the_tokenizer_and_the_task(trained: tuple[Path, Path]) -> None:
    done = call(["export", str(trained[0]), "--out", "lm.onnx"])
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[0] == "lm.onnx"
    assert "largest difference from the model" in done.output
    session = onnxruntime.InferenceSession("lm.onnx")
    about = json.loads(session.get_modelmeta().custom_metadata_map["seqarena"])
    assert about["architecture"] == "gru"
    assert about["task"]["kind"] == "language"
    assert "tokenizer" in about["artifacts"]


def test_a_tagger_takes_lengths_and_letters(trained: tuple[Path, Path]) -> None:
    done = call(["export", str(trained[1])])
    assert done.exit_code == 0, done.output
    assert "reads its whole input" in done.output
    session = onnxruntime.InferenceSession("bi_gru.onnx")
    names = [one.name for one in session.get_inputs()]
    assert names[:2] == ["input", "lengths"]
    about = json.loads(session.get_modelmeta().custom_metadata_map["seqarena"])
    assert about["inputs"] == names
    assert about["reads"] == "tokens, the whole input"


@pytest.mark.skipif(c_check.compiler() is None, reason="no C compiler")
def test_int8_says_its_sizes_and_its_loss(trained: tuple[Path, Path]) -> None:
    done = call(["export", f"{trained[0]}:gru", "--to", "c", "--precision", "int8"])
    assert done.exit_code == 0, done.output
    assert Path("gru.c").exists()
    assert "bytes of weights" in done.output
    assert "bits_per_byte" in done.output
    assert "in int8" in done.output


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("{tags}", "--to", "c"), "bi_gru to c"),
        (("{lm}", "--to", "tflite"), "use onnx, torch, c, hf"),
        (("{lm}", "--out", "a.bin"), "does not say in which form"),
        (("{lm}:mamba",), "has no 'mamba'"),
        (("{lm}", "--precision", "int8"), "is for --to c"),
        (("{lm}", "--to", "hf"), "gru to hf"),
    ],
)
def test_a_mistake_is_one_line(
    trained: tuple[Path, Path], words: tuple[str, ...], expected: str
) -> None:
    places = {"lm": str(trained[0]), "tags": str(trained[1])}
    done = call(["export", *(word.format(**places) for word in words)])
    assert done.exit_code == 2
    assert expected in done.output
    assert len(done.output.strip().splitlines()) == 1
