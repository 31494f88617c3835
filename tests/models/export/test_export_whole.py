"""What reads its whole input, and what writes from a source: their files beside the model."""

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from seqarena.core.batch import END, START, Batch, Problem
from seqarena.core.errors import UserError
from seqarena.core.shapes import lengths_to_mask
from seqarena.models.build import build
from seqarena.models.catalog import CATALOG, why_not
from seqarena.models.export import compared, forms
from seqarena.models.export.whole import graph as whole_graphs
from seqarena.models.export.whole import onnx as whole_onnx
from seqarena.models.export.whole.loops import Body, over_time, read
from seqarena.models.model import Model
from seqarena.models.search import greedy

onnxruntime = pytest.importorskip("onnxruntime")
LABEL = Problem(form="label", num_outputs=3, vocab_size=19, max_length=24)
TAGS = Problem(num_outputs=5, vocab_size=19, num_characters=9, max_length=24)
PAIRS = Problem(
    form="pairs", num_outputs=19, vocab_size=19, source_vocab_size=17, max_length=24,
    max_source_length=24,
)  # fmt: skip
PROBLEMS = (
    Problem(num_outputs=5, vocab_size=19, max_length=24),
    LABEL,
    Problem(form="label", num_outputs=3, features=1, image=(28, 28), max_length=784),
    Problem(form="label", num_outputs=19, vocab_size=19, num_segments=4, max_length=24),
    Problem(form="span", num_outputs=2, vocab_size=19, num_segments=2, max_length=24),
    PAIRS,
)
WHOLE = [
    name
    for name, row in CATALOG.items()
    if not row.causal or (row.system is not None and why_not(row, LABEL) is None)
]
WRITERS = [
    name for name, row in CATALOG.items()
    if row.system is not None and all(why_not(row, p) for p in PROBLEMS[:5])
]  # fmt: skip
FAST_WHOLE = ["text_cnn", "bi_lstm_crf", "attentive_reader", "diagonal_neural_gpu"]
FAST_WRITERS = ["seq2seq_gru", "rnnsearch"]


def shaken(name: str, problem: Problem | None = None, **size: int) -> Model:
    """A small model none of whose weights is zero, of the first problem that it can do."""
    problem = problem or next(p for p in PROBLEMS if why_not(CATALOG[name], p) is None)
    if CATALOG[name].system is None:
        size = {"depth": 1, **size}
    model = build(name, problem=problem, seed=1, **{"width": 12, **size}).eval()  # pyright: ignore
    draw = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=draw))
        for buffer in model.buffers():  # what competition learns
            if buffer.is_floating_point() and buffer.dim() == 4:
                buffer.add_(torch.rand(buffer.shape, generator=draw))
    return model


def exported(model: Model, path: Path, to: str = "onnx") -> forms.Exported:
    done = forms.export_model(model, to, path)
    assert done.path.exists()
    assert done.difference is not None
    assert done.difference <= compared.TOLERANCE
    return done


@pytest.mark.parametrize("name", [*FAST_WHOLE, *FAST_WRITERS])
def test_onnx_gives_the_models_numbers(name: str, tmp_path: Path) -> None:
    exported(shaken(name), tmp_path / "m.onnx")


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [name for name in (*WHOLE, *WRITERS) if name not in (*FAST_WHOLE, *FAST_WRITERS)]
)
def test_every_other_one_too(name: str, tmp_path: Path) -> None:
    exported(shaken(name), tmp_path / "m.onnx")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bi_gru", "bert", "text_cnn", "seq2seq_gru", "transformer"])
def test_a_pt2_gives_the_models_numbers(name: str, tmp_path: Path) -> None:
    exported(shaken(name), tmp_path / "m.pt2", "torch")


@pytest.mark.parametrize("name", ["bi_gru", "bi_lstm_tagger"])
def test_words_come_with_their_letters(name: str, tmp_path: Path) -> None:
    path = exported(shaken(name, TAGS), tmp_path / "m.onnx").path
    session = onnxruntime.InferenceSession(str(path))
    assert [one.name for one in session.get_inputs()] == ["input", "lengths", "characters"]
    about = json.loads(session.get_modelmeta().custom_metadata_map["seqarena"])
    assert about["inputs"] == ["input", "lengths", "characters"]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("self_attention_encoder", LABEL.model_copy(update={"num_segments": 2})),
        ("gru", Problem(form="label", num_outputs=1, targets="numbers", features=4,
                        categories=(5, 7), max_length=24)),
        ("attention", TAGS),
        ("bi_lstm", Problem(form="transcript", num_outputs=6, features=4, max_length=24)),
    ],
)  # fmt: skip
def test_other_tasks(name: str, problem: Problem, tmp_path: Path) -> None:
    """Two sentences, categories beside numbers, a causal stack that reads letters, a transcript."""
    exported(shaken(name, problem, width=16), tmp_path / "m.onnx")


def test_a_graph_that_does_not_see_padding_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = whole_graphs.batch_of

    def all_real(problem: Problem, *given: Tensor) -> Batch:
        return real(problem, *given)._replace(mask_BT=None)

    monkeypatch.setattr(whole_graphs, "batch_of", all_real)
    with pytest.raises(UserError, match=r"differs from the model by \d"):
        forms.export_model(shaken("text_cnn"), "onnx", tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_pair_that_is_wrong_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    aten = torch.ops.aten
    monkeypatch.setitem(whole_onnx.RULES, aten.sigmoid.default, whole_onnx.RULES[aten.tanh.default])
    with pytest.raises(UserError, match=r"differs from the model by \d"):
        forms.export_model(shaken("seq2seq_gru"), "onnx", tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []


def test_the_tags_of_a_chain_are_the_best_of_all_sequences(tmp_path: Path) -> None:
    """Tried one by one, for a row that is full and one that is not."""
    model: Any = shaken("bi_lstm_crf")
    session = onnxruntime.InferenceSession(str(exported(model, tmp_path / "m.onnx").path))
    tokens, lengths = torch.tensor([[3, 7, 5, 9], [4, 8, 2, 0]]), torch.tensor([4, 3])
    (found,) = session.run(None, {"input": tokens.numpy(), "lengths": lengths.numpy()})
    mask = lengths_to_mask(lengths, 4)
    with torch.no_grad():
        emissions, _ = model.emissions(Batch(tokens, tokens, mask))
        start, end, moves = model.chain
        for row, length in enumerate(lengths.tolist()):

            def score(tags: tuple[int, ...], e: Tensor = emissions[row]) -> float:
                own = sum(e[t, k] for t, k in enumerate(tags))
                between = sum(moves[a, b] for a, b in itertools.pairwise(tags))
                return float(start[tags[0]] + own + between + end[tags[-1]])

            best = max(itertools.product(range(5), repeat=length), key=score)
            assert tuple(found[row, :length].argmax(-1).tolist()) == best


def written_by_onnx(folder: Path, source: Tensor, lengths: Tensor, most: int) -> Tensor:
    """Greedily, with numpy arrays alone."""
    encoder, step = (
        onnxruntime.InferenceSession(str(folder / f"{part}.onnx")) for part in ("encoder", "step")
    )
    names = [one.name for one in encoder.get_outputs()]
    given = {"source": source.numpy(), "lengths": lengths.numpy()}
    state = dict(zip(names, encoder.run(None, given), strict=True))
    token, ended, found = np.full(len(source), START), np.zeros(len(source), bool), []
    for _ in range(most):
        outputs = step.run(None, {"input": token, **state})
        named = dict(zip((one.name for one in step.get_outputs()), outputs, strict=True))
        state |= {
            name.removeprefix("next_"): x for name, x in named.items() if name.startswith("next_")
        }
        token = np.where(ended, END, named["logits"].argmax(-1))
        found.append(token)
        ended |= token == END
        if ended.all():
            break
    return torch.from_numpy(np.stack(found, 1))


@pytest.mark.parametrize(
    "name",
    ["seq2seq_lstm", "rnnsearch", *(
        pytest.param(name, marks=pytest.mark.slow)
        for name in ("luong_general", "transformer", "transformer_modern", "mamba_encoder_decoder",
                     "convs2s", "extended_neural_gpu")
    )],
)  # fmt: skip
def test_greedy_writing_is_ours(name: str, tmp_path: Path) -> None:
    """Of words that were learnt backwards, of three lengths in one batch."""
    model = build(name, problem=PAIRS, width=24, seed=0)
    source = torch.randint(4, 17, (6, 4), generator=torch.Generator().manual_seed(3))
    lengths = torch.tensor([4, 4, 3, 3, 2, 2])
    real = lengths_to_mask(lengths, 4)
    ends = torch.full((6, 1), END)
    targets = torch.cat((source.flip(1), ends), 1)
    inputs = torch.cat((torch.full((6, 1), START), targets[:, :-1]), 1)
    batch = Batch(inputs, targets, None, source, real)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(25):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model.answer(batch).mT, targets).backward()
        optimizer.step()
    with torch.no_grad():
        expected = greedy(model.eval(), batch, 8)
    assert len(expected.unique(dim=0)) > 2  # it has learnt something of each
    folder = exported(model, tmp_path / "m.onnx").path
    assert folder == tmp_path / "m"
    assert torch.equal(written_by_onnx(folder, source, lengths, 8), expected)


def test_an_encoder_decoder_of_any_mixer_counts_its_positions(tmp_path: Path) -> None:
    """Where there is no cache whose size says how far it is."""
    options = {"layers": 1, "positions": "sinusoidal"}
    model = build("encoder_decoder:gla", problem=PAIRS, width=16, options=options, seed=0).eval()
    folder = exported(model, tmp_path / "m.onnx").path
    session = onnxruntime.InferenceSession(str(folder / "step.onnx"))
    assert "next_position" in [one.name for one in session.get_outputs()]


def test_a_loop_is_a_loop() -> None:
    """Over time, with and without rows that end early, against the sum written out."""
    keep: list[Body] = []
    x_BTD = torch.randn(3, 5, 2, generator=torch.Generator().manual_seed(1))

    def step(carried: list[Tensor], timed: list[Tensor], fixed: list[Tensor]) -> Any:
        after = carried[0] + timed[0] * fixed[0]
        return [after], [after]

    twice = torch.full((3, 2), 2.0)
    (last,), (sums,) = over_time(step, [torch.zeros(3, 2)], [x_BTD], [twice], keep=keep)
    torch.testing.assert_close(sums, 2 * x_BTD.cumsum(1))
    torch.testing.assert_close(last, 2 * x_BTD.sum(1))
    lengths = torch.tensor([5, 1, 3])
    _, state = read(lambda x, s: (x, s + x[:, 0]), x_BTD, torch.zeros(3, 2), lengths, keep=keep)
    real = lengths_to_mask(lengths, 5)[..., None]
    torch.testing.assert_close(state, (x_BTD * real).sum(1))


@pytest.mark.parametrize("to", ["onnx", "c"])
def test_two_parts_of_one_table_are_two_constants(to: str, tmp_path: Path) -> None:
    """The memory language model reads the left half of a matrix transposed, the right half not."""
    if to == "c" and forms.compiler() is None:
        pytest.skip("no C compiler")
    model = shaken("memory_language_model", Problem(num_outputs=19, vocab_size=19, max_length=24))
    done = forms.export_model(model, to, tmp_path / f"m{forms.SUFFIXES[to]}")
    assert done.difference is not None
    assert done.difference <= compared.TOLERANCE


def test_what_counts_by_a_rows_own_length_is_refused(tmp_path: Path) -> None:
    for to in ("onnx", "torch"):
        with pytest.raises(UserError, match="unfolds a source is counted"):
            forms.export_model(shaken("bytenet", PAIRS), to, tmp_path / "m")
    assert list(tmp_path.iterdir()) == []
