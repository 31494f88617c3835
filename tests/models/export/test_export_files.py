"""Files in every form, run beside the model; and files that are wrong, which are not kept."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from test_export_graph import noisy

from seqarena.core.batch import Batch, Problem
from seqarena.core.errors import UserError
from seqarena.models.build import build
from seqarena.models.catalog import CATALOG
from seqarena.models.export import compared, forms
from seqarena.models.export.c import check as c_check
from seqarena.models.export.c.operators import ELEMENTWISE
from seqarena.models.export.c.program import CProgram
from seqarena.models.export.c.source import c_source
from seqarena.models.export.whole.onnx import RULES

onnxruntime = pytest.importorskip("onnxruntime")
needs_compiler = pytest.mark.skipif(c_check.compiler() is None, reason="no C compiler")
CAUSAL = [name for name, row in CATALOG.items() if row.causal and row.system is None]
LIVE = ["gru", "linear_attention", "gpt2", "mamba"]
aten = torch.ops.aten


@pytest.mark.parametrize("name", LIVE)
@pytest.mark.parametrize("to", ["onnx", pytest.param("c", marks=needs_compiler)])
def test_a_file_gives_the_models_numbers(name: str, to: str, tmp_path: Path) -> None:
    done = forms.export_model(noisy(name), to, tmp_path / f"m{forms.SUFFIXES[to]}", max_length=32)
    assert done.path.exists()
    assert done.difference is not None
    assert done.difference <= compared.TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in CAUSAL if name not in LIVE])
@pytest.mark.parametrize("to", ["onnx", pytest.param("c", marks=needs_compiler)])
def test_every_causal_architecture_has_both(name: str, to: str, tmp_path: Path) -> None:
    model, path = noisy(name), tmp_path / f"m{forms.SUFFIXES[to]}"
    if name == "hyena" or (name, to) == ("bigbird", "onnx"):
        with pytest.raises(UserError, match="position"):
            forms.export_model(model, to, path)
        return
    assert forms.export_model(model, to, path, max_length=32).path.exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gru", "attention"])
def test_a_pt2_gives_the_models_numbers(name: str, tmp_path: Path) -> None:
    done = forms.export_model(noisy(name), "torch", tmp_path / "m.pt2")
    assert done.difference is not None
    assert done.difference <= compared.TOLERANCE


def test_a_wrong_onnx_file_is_refused_and_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(RULES, aten.sigmoid.default, RULES[aten.tanh.default])
    with pytest.raises(UserError, match=r"differs from the model by \d"):
        forms.export_model(noisy("gru"), "onnx", tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []


@needs_compiler
def test_a_wrong_c_file_is_refused_and_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ELEMENTWISE, aten.sigmoid.default, ELEMENTWISE[aten.tanh.default])
    with pytest.raises(UserError, match="test vector"):
        forms.export_model(noisy("gru"), "c", tmp_path / "m.c")
    assert list(tmp_path.iterdir()) == []


def test_an_onnx_file_says_what_it_is_and_holds_each_weight_once(tmp_path: Path) -> None:
    model = noisy("gru")
    about = {"architecture": "gru", "artifacts": {"tokenizer": "{}"}}
    path = forms.export_model(model, "onnx", tmp_path / "m.onnx", about=about).path
    session = onnxruntime.InferenceSession(str(path))
    found = json.loads(session.get_modelmeta().custom_metadata_map["seqarena"])
    assert found["architecture"] == "gru"
    assert found["artifacts"] == {"tokenizer": "{}"}
    assert found["state"] == ["layers_0_h"]
    assert found["opset"] == 20
    assert {one.name for one in session.get_outputs()} == {"logits", "next_layers_0_h"}
    assert path.stat().st_size < 4 * model.num_parameters + 12_000  # the table is the head as well


def test_one_label_is_the_last_positions_logits(tmp_path: Path) -> None:
    problem = Problem(form="label", num_outputs=3, features=5)
    model = build("mingru", problem=problem, width=16, depth=1, seed=0).eval()
    path = forms.export_model(model, "onnx", tmp_path / "m.onnx").path
    inputs = torch.randn(2, 11, 5)
    session = onnxruntime.InferenceSession(str(path))
    state = {one.name: torch.zeros(2, *one.shape[1:]).numpy() for one in session.get_inputs()[1:]}
    (logits,) = session.run(["logits"], {"input": inputs.numpy(), **state})
    with torch.no_grad():
        answer = model.answer(Batch(inputs, torch.zeros(2, 1, dtype=torch.int64)))
    assert torch.from_numpy(logits[:, -1:]).sub(answer).abs().max() <= 1e-5


@needs_compiler
def test_int8_is_smaller_and_is_what_torch_computes_with_rounded_weights(tmp_path: Path) -> None:
    model = noisy("gru")
    whole, small = (c_source(model, "m", precision=p) for p in ("float32", "int8"))
    assert small.flash_bytes < 0.4 * whole.flash_bytes
    done = forms.export_model(model, "c", tmp_path / "m.c", precision="int8")
    assert done.difference is not None
    assert done.difference <= compared.TOLERANCE
    assert done.rounded is not None
    own = dict(model.named_parameters())
    for name, rounded in done.rounded.named_parameters():
        step = own[name].abs().max() / 127
        assert (rounded - own[name]).abs().max() <= 0.5001 * step, name
    assert not torch.equal(done.rounded.head.weight, model.head.weight)  # pyright: ignore


@needs_compiler
def test_c_says_when_there_is_no_room_and_no_such_token(tmp_path: Path) -> None:
    source = c_source(noisy("attention"), "m", max_length=4)
    inputs = torch.tensor([1, 2, 3, 4, 5])
    expected = torch.zeros(5, 19)
    with pytest.raises(UserError, match="m_step returned 1"):
        c_check.largest_difference(source, "m", inputs, expected)
    with pytest.raises(UserError, match="m_step returned 2"):
        c_check.largest_difference(source, "m", torch.tensor([19]), expected)


@needs_compiler
def test_a_cache_in_c_is_written_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same numbers as by copies of it, in less scratch."""
    model = noisy("attention")
    placed = c_source(model, "m", max_length=16)
    monkeypatch.setattr(CProgram, "_state_written", lambda self, node: None)
    copied = c_source(model, "m", max_length=16)
    keys = 4 * 16 * 16  # bytes: width times positions
    assert placed.scratch_bytes <= copied.scratch_bytes - keys
    inputs = torch.arange(16)
    with torch.no_grad():
        expected = model(inputs[None])[0][0]
    for source in (placed, copied):
        assert c_check.largest_difference(source, "m", inputs, expected) <= 1e-5


@pytest.mark.parametrize(
    ("given", "to", "words"),
    [
        ({}, "tflite", "unknown form"),
        ({"precision": "int8"}, "onnx", "is for --to c"),
        ({"precision": "int4"}, "c", "use float32 or int8"),
        ({}, "hf", "gpt2, llama or bert"),
    ],
)
def test_mistakes_are_one_line(given: Any, to: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=words) as caught:
        forms.export_model(noisy("gru"), to, tmp_path / "m", **given)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_files_name_says_its_form() -> None:
    assert [forms.form_of(Path(f"a{end}")) for end in (".onnx", ".pt2", ".c")] == [
        "onnx", "torch", "c",
    ]  # fmt: skip
    with pytest.raises(UserError, match="does not say in which form"):
        forms.form_of(Path("a.bin"))
