"""Sessions: continuing, taking back, forking, saving, and streams without an end."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from seqarena.core.batch import Problem
from seqarena.core.errors import UserError
from seqarena.core.shapes import measured_state_bytes, state_tensors
from seqarena.models.build import build
from seqarena.models.catalog import CATALOG, why_not
from seqarena.models.model import StatefulModel
from seqarena.models.states.session import Session

NEXT_WORDS = Problem(num_outputs=20, vocab_size=20, causal=True, max_length=64)
CAUSAL = [name for name, row in CATALOG.items() if why_not(row, NEXT_WORDS) is None]
TOKENS = torch.randint(20, (2, 30), generator=torch.Generator().manual_seed(0))
CLOSE: dict[str, Any] = {"rtol": 1e-9, "atol": 1e-9}


def model_of(name: str, **more: Any) -> StatefulModel:
    model = build(name, problem=NEXT_WORDS, width=16, seed=1, **more).double()
    assert isinstance(model, StatefulModel)
    return model


def test_every_causal_architecture_is_here() -> None:
    assert {"gru", "mamba", "attention", "conv", "wavenet", "nnlm", "jamba"} <= set(CAUSAL)


@pytest.mark.parametrize("name", CAUSAL)
def test_reading_in_parts_equals_the_whole(name: str) -> None:
    model = model_of(name)
    session = Session(model)
    found_BTV = torch.cat([session.read(part) for part in TOKENS.split((1, 7, 22), dim=1)], 1)
    with torch.no_grad():
        torch.testing.assert_close(found_BTV, model(TOKENS)[0], **CLOSE)
    assert session.position == 30


@pytest.mark.parametrize("short_convolution", [0, 4])
@pytest.mark.parametrize("name", CAUSAL)
def test_a_rollback_is_exact(name: str, short_convolution: int) -> None:
    """Whatever was taken back: the next answers are those of a session that never read it."""
    if short_convolution and CATALOG[name].system is not None:
        pytest.skip("a system has no short convolution")
    model = model_of(name, short_convolution=short_convolution)
    for calls, count, never_read in (
        ((9, 1, 1, 1, 1), 3, (9, 1)),  # token by token
        ((9, 5), 2, (9, 3)),  # into the middle of a call
        ((9, 4), 4, (9,)),  # a whole call
        ((12,), 8, (4,)),  # of the first
        ((6, 5, 1), 0, (6, 5, 1)),
    ):
        session, other = Session(model, rollback=8), Session(model)
        for part in TOKENS[:, : sum(calls)].split(calls, dim=1):
            session.read(part)
        session.rollback(count)
        for part in TOKENS[:, : sum(never_read)].split(never_read, dim=1):
            other.read(part)
        assert session.position == other.position
        assert torch.equal(session.read(TOKENS[:, 20:23]), other.read(TOKENS[:, 20:23]))
        assert torch.equal(session.read(TOKENS[:, 23:24]), other.read(TOKENS[:, 23:24]))


@pytest.mark.parametrize("name", ["gru", "attention", "jamba", "wavenet"])
def test_rollbacks_follow_one_another(name: str) -> None:
    model, random = model_of(name), np.random.default_rng(0)
    session, read = Session(model, rollback=6), []
    for _ in range(40):
        if read and random.random() < 0.4:
            count = int(random.integers(0, session.most_rollback + 1))
            session.rollback(count)
            read = read[: len(read) - count]
        new = random.integers(0, 20, size=int(random.integers(1, 6))).tolist()
        read += new
        if len(read) > 60:
            break
        found_1TV = session.read(new)
        assert session.position == len(read)
        assert len(new) <= session.most_rollback <= 6 or session.most_rollback == 6
        with torch.no_grad():
            expected_1TV = model(torch.tensor([read]))[0][:, -len(new) :]
        torch.testing.assert_close(found_1TV, expected_1TV, **CLOSE)


def test_a_session_keeps_no_more_than_a_rollback_needs() -> None:
    session = Session(model_of("gru"), rollback=4)
    for _ in range(200):
        session.read([3])
    assert len(session._marks) <= 5
    assert session._recent_BT is not None
    assert session._recent_BT.shape[1] <= 5
    cache = Session(model_of("attention"), rollback=4)
    cache.read([3])
    assert cache._marks[0].kept.layers == (None, None)  # a cache needs no copy


def test_what_cannot_be_taken_back_is_told() -> None:
    session = Session(model_of("gru"), rollback=4)
    session.read([1, 2])
    with pytest.raises(UserError, match="rollback of 3: this session can take back 2"):
        session.rollback(3)
    with pytest.raises(UserError, match="rollback of -1"):
        session.rollback(-1)
    with pytest.raises(UserError, match=r"can take back 0; Session\(model, rollback=N\)"):
        Session(model_of("gru")).rollback(1)
    with pytest.raises(UserError, match="rollback -3: give a whole number"):
        Session(model_of("gru"), rollback=-3)


@pytest.mark.parametrize("name", CAUSAL)
def test_forks_do_not_touch_each_other(name: str) -> None:
    model = model_of(name)
    session = Session(model, rollback=4)
    for part in TOKENS[:, :10].split((9, 1), dim=1):  # a cache now has room for both futures
        session.read(part)
    fork = session.fork()
    read = {session: [*range(10)], fork: [*range(10)]}
    for one, places in ((fork, (20, 21)), (session, (10, 11, 12)), (fork, (22,)), (session, (13,))):
        read[one] += places
        found_BTV = one.read(TOKENS[:, list(places)])
        with torch.no_grad():
            expected_BTV = model(TOKENS[:, read[one]])[0][:, -len(places) :]
        torch.testing.assert_close(found_BTV, expected_BTV, **CLOSE)
    fork.rollback(2)
    session.rollback(4)
    assert (session.position, fork.position) == (10, 11)


@pytest.mark.parametrize("name", ["gru", "mamba", "sliding_window", "wavenet", "jamba"])
def test_what_is_kept_shares_no_memory_with_a_state_that_is_consumed(name: str) -> None:
    model = model_of(name)
    with torch.no_grad():
        state = model(TOKENS)[1]
    kept = model.keep(state)
    places = {tensor.data_ptr() for tensor in state_tensors(kept)}
    assert places
    assert not places & {tensor.data_ptr() for tensor in state_tensors(state)}


@pytest.mark.parametrize("name", CAUSAL)
def test_a_saved_session_goes_on(name: str, tmp_path: Path) -> None:
    model, path = model_of(name), tmp_path / "state.safetensors"
    session = Session(model)
    session.read(TOKENS[:, :9])
    session.save(path)
    loaded = Session.load(path, model_of(name), rollback=2)
    assert loaded.position == 9
    # where a state lay apart in memory, its products are summed in another order
    found_BTV, expected_BTV = loaded.read(TOKENS[:, 9:12]), session.read(TOKENS[:, 9:12])
    torch.testing.assert_close(found_BTV, expected_BTV, rtol=1e-12, atol=1e-12)
    loaded.rollback(2)
    assert loaded.position == 10
    assert not list(tmp_path.glob("*.new"))


def test_a_session_fits_its_own_model_alone(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    session = Session(model_of("gru"))
    session.read([1, 2, 3])
    session.save(path)
    with pytest.raises(UserError, match="saved by a model of another configuration"):
        Session.load(path, model_of("elman"))
    other = model_of("gru")
    with torch.no_grad():
        next(other.parameters())[0, 0] += 1e-3
    with pytest.raises(UserError, match="the same architecture with other weights"):
        Session.load(path, other)
    with pytest.raises(UserError, match="other weights"):
        Session.load(path, model_of("gru").float())
    with pytest.raises(UserError, match="does not exist"):
        Session.load(tmp_path / "none", model_of("gru"))
    save_file(load_file(path), tmp_path / "bare")
    with pytest.raises(UserError, match="it is no session of this version"):
        Session.load(tmp_path / "bare", model_of("gru"))
    for length in (0, 7, len(path.read_bytes()) - 8):
        (tmp_path / "short").write_bytes(path.read_bytes()[:length])
        with pytest.raises(UserError, match="is no session, or is damaged"):
            Session.load(tmp_path / "short", model_of("gru"))


def test_no_step_was_read_yet(tmp_path: Path) -> None:
    model, path = model_of("attention"), tmp_path / "state.safetensors"
    Session(model).save(path)
    assert torch.equal(Session.load(path, model).read([1, 2]), Session(model).read([1, 2]))


def test_wrong_inputs_are_told() -> None:
    session = Session(model_of("gru"))
    with pytest.raises(UserError, match="token 20: the model knows 0 to 19"):
        session.read([3, 20])
    with pytest.raises(UserError, match="token -1"):
        session.read([-1])
    with pytest.raises(UserError, match=r"inputs of shape \(1, 0\): give tokens"):
        session.read([])
    session.read([3])
    with pytest.raises(UserError, match="2 sequences, and this session reads 1"):
        session.read(TOKENS)
    for name in ("bi_gru", "rnnsearch"):
        model = build(name, problem=PAIRS if name == "rnnsearch" else NEXT_WORDS, width=16)
        with pytest.raises(UserError, match="keeps no session"):
            Session(model)


PAIRS = Problem(
    form="pairs", num_outputs=20, vocab_size=20, source_vocab_size=20, causal=True, max_length=9,
    max_source_length=9,
)  # fmt: skip


def test_numbers_are_read_too() -> None:
    problem = Problem(targets="numbers", num_outputs=2, features=2, causal=True, max_length=64)
    model = build("gru", problem=problem, width=16).double()
    assert isinstance(model, StatefulModel)
    x_BTF = torch.randn(1, 9, 2, dtype=torch.float64)
    session = Session(model)
    session.read(x_BTF[:, :4])
    with torch.no_grad():
        torch.testing.assert_close(session.read(x_BTF[0, 4:]), model(x_BTF)[0][:, 4:], **CLOSE)


def carries(name: str) -> bool:
    model = model_of(name)
    return model.carries and model.most_positions is None


@pytest.mark.parametrize("name", CAUSAL)
def test_a_stream_equals_the_whole_and_its_state_keeps_its_size(name: str) -> None:
    model = model_of(name)
    tokens_T = torch.randint(20, (150,), generator=torch.Generator().manual_seed(1))
    if not carries(name):
        with pytest.raises(UserError, match=r"grows by [\d,]+ bytes a position|64 positions"):
            model.stream(tokens_T)
        return
    session = Session(model)
    for inputs in (tokens_T, tokens_T.numpy(), iter(tokens_T.tolist())):
        pieces = list(model.stream(inputs, piece=40))
        assert [piece.shape[1] for piece in pieces] == [40, 40, 40, 30]
        with torch.no_grad():
            torch.testing.assert_close(torch.cat(pieces, 1), model(tokens_T[None])[0], **CLOSE)
    sizes = set()
    for _ in session.stream(tokens_T, piece=40):
        sizes.add(measured_state_bytes(session.state))
    assert len(sizes) == 1
    assert session.position == 150


def test_a_stream_is_read_as_it_goes() -> None:
    """The inputs have no end, and no more of them are taken than are answered."""
    taken = 0

    def endless():
        nonlocal taken
        while True:
            taken += 1
            yield taken % 20

    stream = model_of("mingru").stream(endless(), piece=16)
    for _ in range(2):
        next(stream)
    assert taken == 32
    with pytest.raises(UserError, match="piece 0"):
        model_of("mingru").stream(endless(), piece=0)


def test_a_session_puts_its_model_into_evaluation_mode() -> None:
    model = build("gru", problem=NEXT_WORDS, width=16)
    model.train()
    assert not Session(model).model.training
