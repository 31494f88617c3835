"""The engine: greedy answers are equal alone and batched, a kept state gives equal logits, and
work that is cancelled ends."""

import threading
import time
from collections.abc import Callable, Sequence

import pytest
import torch
from small_engines import GREEDY, PROMPTS, Finished, counted, log_p, made, model_of

from seqarena.data.text.tokenizers import ByteTokenizer
from seqarena.serve.model import engine as engines
from seqarena.serve.model.engine import Engine, NoPlaceError
from seqarena.serve.model.generation import Generation, WantedText
from seqarena.serve.model.kept import KeptStates
from seqarena.serve.model.runtimes import TorchRuntime, by_columns
from seqarena.use.generate import generate_tokens
from seqarena.use.sample import Sampling

NAMES = ("gru", "mamba", "attention", "sliding_window", "hyena", "hybrid", "attention_learned")
BY_ONNX = ("gru", "lstm", "mamba", "gated_delta", "attention", "sliding_window", "hybrid",
           "attention_learned")  # fmt: skip
BOTH = [*(("torch", name) for name in NAMES), *(("onnx", name) for name in BY_ONNX)]
SOME = [("torch", "gru"), ("torch", "attention"), ("torch", "mamba"), ("torch", "sliding_window"),
        ("torch", "hybrid"), ("onnx", "gru"), ("onnx", "attention"), ("onnx", "sliding_window"),
        ("onnx", "hybrid")]  # fmt: skip


@pytest.mark.parametrize(("engine_name", "name"), BOTH)
def test_greedy_answers_are_equal_alone_and_batched(
    engine_name: str, name: str, engine_of: Callable[..., Engine]
) -> None:
    """Prompts of six lengths and answers of six: rows join and leave throughout. What is expected
    is torch's, whatever computes."""
    model, runtime = made(engine_name, name)
    counts = [20, 7, 30, 3, 12, 25]
    expected = [
        list(generate_tokens(model, prompt, count, GREEDY))
        for prompt, count in zip(PROMPTS, counts, strict=True)
    ]
    wanted = [WantedText(tuple(p), c, GREEDY, likeliest=1) for p, c in zip(PROMPTS, counts)]
    engine = engine_of(runtime, rows=4)  # so that the last ones wait for a place
    together = Finished(engine)(*wanted)
    alone = [Finished(engine)(one)[0] for one in wanted]
    assert [text.written for text in together] == expected
    assert [text.written for text in alone] == expected
    for one, other in zip(together, alone, strict=True):
        torch.testing.assert_close(log_p(one), log_p(other), atol=1e-4, rtol=1e-4)
    steps = engine.metrics.batch_rows.collect()[0].samples
    assert max(s.value for s in steps if s.name.endswith("_sum")) == 2 * sum(counts)


@pytest.mark.parametrize("name", ["gru", "attention", "mamba", "lstm", "gru_before"])
def test_matrices_by_columns_are_the_same_matrices(name: str) -> None:
    model = model_of(name)
    tokens = torch.randint(256, (3, 9), generator=torch.Generator().manual_seed(0))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with torch.no_grad():
        expected = model(tokens)[0]
        found = by_columns(model)(tokens)[0]
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])
    wide = [p for p in model.parameters() if p.dim() == 2 and min(p.shape) > 1]
    assert wide
    assert all(matrix.stride(0) == 1 for matrix in wide)


def test_rows_do_share_steps(engine_of: Callable[..., Engine]) -> None:
    engine = engine_of(TorchRuntime(model_of("gru")))
    Finished(engine)(*[WantedText(tuple(p), 30, GREEDY) for p in PROMPTS])
    samples = {s.name: s.value for s in engine.metrics.batch_rows.collect()[0].samples}
    rows, steps = (samples[f"seqarena_batch_rows_{what}"] for what in ("sum", "count"))
    assert rows == 180
    assert steps < 60


@pytest.mark.parametrize(("engine_name", "name"), SOME)
def test_draws_are_those_of_generate(
    engine_name: str, name: str, engine_of: Callable[..., Engine]
) -> None:
    model, runtime = made(engine_name, name)
    sampling = Sampling(temperature=0.9, top_p=0.9, top_k=20)
    expected = list(generate_tokens(model, PROMPTS[1], 20, sampling, seed=5))
    engine = engine_of(runtime)
    wanted = WantedText(tuple(PROMPTS[1]), 20, sampling, seed=5)
    assert Finished(engine)(wanted)[0].written == expected
    others = [WantedText(tuple(p), 20, sampling, seed=1) for p in PROMPTS]
    assert Finished(engine)(*others, wanted)[-1].written == expected


@pytest.mark.parametrize(("engine_name", "name"), SOME)
def test_a_kept_prefix_gives_equal_logits(
    engine_name: str, name: str, engine_of: Callable[..., Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "BLOCK", 8)
    _, runtime = made(engine_name, name)
    first, prompt = PROMPTS[2], [*PROMPTS[2], *PROMPTS[1]]
    wanted = WantedText(tuple(prompt), 12, GREEDY, likeliest=2)
    (fresh,) = Finished(engine_of(runtime))(wanted)
    engine = engine_of(runtime, kept_bytes=10_000_000)
    Finished(engine)(WantedText(tuple(first), 1, GREEDY))
    (again,) = Finished(engine)(wanted)
    assert fresh.reused == 0
    assert again.reused == len(first)
    assert counted(engine, "reused_tokens") == len(first)
    assert again.written == fresh.written
    torch.testing.assert_close(log_p(again), log_p(fresh), atol=1e-5, rtol=1e-5)
    (block,) = Finished(engine)(WantedText((*first[:10], 1, 2, 3), 1, GREEDY))
    assert block.reused == 8  # the last block that both have
    answered = (*prompt, *again.written, 7)
    assert Finished(engine)(WantedText(answered, 1, GREEDY))[0].reused == len(answered) - 2


def test_the_store_forgets_the_least_recently_used() -> None:
    size = 4 * 1000 + 512
    store = KeptStates(2 * size)
    for token in (1, 2):
        store.keep_prefix([token], torch.full((1, 1000), float(token)))
    length, state = store.longest_prefix([1, 9])
    assert (length, float(state[0, 0])) == (1, 1.0)
    state.zero_()  # a copy: what is kept stays
    store.keep_prefix([3, 3], torch.full((1, 1000), 3.0))
    assert store.longest_prefix([2])[0] == 0
    assert float(store.longest_prefix([1])[1][0, 0]) == 1.0
    assert store.longest_prefix([3, 3, 3])[0] == 2
    assert store.bytes == 2 * size
    store.keep_prefix([4], torch.zeros(1, 10_000))  # more than there is room for
    assert store.longest_prefix([4])[0] == 0


@pytest.mark.parametrize("engine_name", ["torch", "onnx"])
def test_a_session_goes_on_where_it_stopped(
    engine_name: str, engine_of: Callable[..., Engine]
) -> None:
    for name in ("gru", "attention", "sliding_window"):
        model, runtime = made(engine_name, name)
        engine = engine_of(runtime, kept_bytes=10_000_000)

        def said(tokens: Sequence[int], engine: Engine = engine) -> Generation:
            return Finished(engine)(WantedText(tuple(tokens), 6, GREEDY, session="s"))[0]

        one = said(PROMPTS[1])
        two = said(PROMPTS[3])
        three = said([])
        expected = list(
            generate_tokens(model, [*PROMPTS[1], *one.written, *PROMPTS[3]], 12, GREEDY)
        )
        assert [*two.written, *three.written] == expected
        assert three.session_tokens == len(PROMPTS[1]) + len(PROMPTS[3]) + 12


def test_a_cancelled_text_leaves_its_place_and_its_session(
    engine_of: Callable[..., Engine],
) -> None:
    model = model_of("gru")
    engine = engine_of(TorchRuntime(model), rows=1, queue=2, kept_bytes=10_000_000)
    begun = threading.Event()
    long = WantedText(tuple(PROMPTS[1]), 10**9, GREEDY, session="s")
    endless = Generation(long, ByteTokenizer(), begun.set, eager=True)
    engine.submit([endless])
    assert begun.wait(30)
    with pytest.raises(NoPlaceError, match="session"):
        engine.submit([Generation(long, ByteTokenizer(), begun.set, eager=False)])
    waits = WantedText(tuple(PROMPTS[0]), 2, GREEDY)
    waiting = Generation(waits, ByteTokenizer(), begun.set, eager=False)
    engine.submit([waiting])
    with pytest.raises(NoPlaceError, match="queue"):
        engine.submit([Generation(waits, ByteTokenizer(), begun.set, eager=False)] * 2)
    engine.cancel([waiting, endless])
    deadline = time.monotonic() + 30
    while counted(engine, "cancelled") < 2 and time.monotonic() < deadline:
        time.sleep(0.01)  # a turn may be at work
    (after,) = Finished(engine)(WantedText(tuple(PROMPTS[1]), 4, GREEDY, session="s"))
    assert after.session_tokens == 0  # as if the cancelled one had never been
    assert not waiting.written
    written = len(endless.written)
    Finished(engine)(WantedText(tuple(PROMPTS[0]), 4, GREEDY))
    assert len(endless.written) == written


@pytest.mark.parametrize("engine_name", ["torch", "onnx"])
def test_positions_that_end(engine_name: str, engine_of: Callable[..., Engine]) -> None:
    model, runtime = made(engine_name, "attention_learned")
    most = model.most_positions
    assert most is not None
    engine = engine_of(runtime)
    (text,) = Finished(engine)(WantedText((7,) * (most - 3), 50, GREEDY))
    assert (len(text.written), text.finish) == (4, "length")
    (beyond,) = Finished(engine)(WantedText((7,) * (most + 1), 5, GREEDY))
    assert "positions" in str(beyond.error)


def test_a_fault_ends_its_rows_alone(
    engine_of: Callable[..., Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = model_of("gru")
    engine = engine_of(TorchRuntime(model))
    with monkeypatch.context() as broken:
        broken.setattr(model, "step", lambda *_: 1 / 0)
        assert isinstance(
            Finished(engine)(WantedText((1, 2), 5, GREEDY))[0].error, ZeroDivisionError
        )
    assert len(Finished(engine)(WantedText((1, 2), 5, GREEDY))[0].written) == 5
