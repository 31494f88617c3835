"""Greedy and beam search over a model that is a table: every prefix has random logits of its own,
so that a state that goes to the wrong row shows."""

import itertools
import math
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from seqarena.core.batch import END, START, Batch
from seqarena.models.model import Model
from seqarena.models.search import beam, greedy

VOCABULARY, LONGEST = 5, 4


class Prefix(NamedTuple):
    source_B: Tensor
    written_BL: Tensor


class Table(Model):
    """Logits by (first source token, everything written so far)."""

    def __init__(self, table: dict[tuple[int, ...], Tensor] | None = None) -> None:
        super().__init__()
        self.table = {} if table is None else table

    def logits(self, source: int, written: tuple[int, ...]) -> Tensor:
        key = (source, *written)
        if key not in self.table:
            draw = torch.Generator().manual_seed(hash(key) % 2**31)
            self.table[key] = 2.0 * torch.randn(VOCABULARY, generator=draw)
        return self.table[key]

    def begin(self, batch, max_length=0):
        source_BS = batch.source_BS
        return Prefix(source_BS[:, 0], source_BS.new_zeros(len(source_BS), 0))

    def step(self, token_B, state):
        written_BL = torch.cat((state.written_BL, token_B[:, None]), 1)
        rows = zip(state.source_B.tolist(), written_BL.tolist())
        logits = [self.logits(source, tuple(row)) for source, row in rows]
        return torch.stack(logits), Prefix(state.source_B, written_BL)

    def answer(self, batch):
        raise NotImplementedError

    algorithms = ()

    def flops(self, length):
        return 0

    def state_bytes(self, length):
        return 0

    def serial_steps(self, length):
        return 0


def sources(count: int) -> Batch:
    source_BS = torch.arange(count)[:, None]
    return Batch(torch.full((count, 1), START), torch.full((count, 1), -100), source_BS=source_BS)


def log_probability(model: Table, source: int, tokens: tuple[int, ...]) -> float:
    total, written = 0.0, (START,)
    for token in tokens:
        total += float(model.logits(source, written).double().log_softmax(-1)[token])
        written = (*written, token)
    return total


def every_target() -> list[tuple[int, ...]]:
    """All that can be written in LONGEST steps: END at the end, or nowhere."""
    others = [token for token in range(VOCABULARY) if token != END]
    ended = [
        (*words, END)
        for length in range(LONGEST)
        for words in itertools.product(others, repeat=length)
    ]
    return ended + list(itertools.product(others, repeat=LONGEST))


def until_end(row: list[int]) -> tuple[int, ...]:
    return tuple(row[: row.index(END) + 1] if END in row else row)


def test_greedy_takes_the_likeliest_token_every_time():
    model, batch = Table(), sources(12)
    for source, row in enumerate(greedy(model, batch, LONGEST).tolist()):
        written: tuple[int, ...] = (START,)
        for token in until_end(row):
            assert token == int(model.logits(source, written).argmax())
            written = (*written, token)
        assert set(row[len(until_end(row)) :]) <= {END}  # nothing but END behind the end


def test_a_beam_of_one_is_greedy():
    model, batch = Table(), sources(40)
    one, other = greedy(model, batch, 7), beam(model, batch, 7, width=1)
    assert [until_end(a) for a in one.tolist()] == [until_end(b) for b in other.tolist()]


@pytest.mark.parametrize("alpha", [0.0, 0.6, 2.0])
def test_a_beam_as_wide_as_everything_finds_the_best_of_all(alpha):
    model, count = Table(), 6
    targets = every_target()
    found = beam(model, sources(count), LONGEST, width=len(targets), length_penalty=alpha)
    for source, row in enumerate(found.tolist()):
        scores = {
            target: log_probability(model, source, target) / ((5 + len(target)) / 6) ** alpha
            for target in targets
        }
        best = max(scores.values())
        assert scores[until_end(row)] == pytest.approx(best, abs=1e-5)


def test_wider_beams_lose_nothing_on_average():
    """Not so for each source (a better start can be driven out), but over many it must be."""
    model, count = Table(), 60

    def mean_score(rows: Tensor) -> float:
        each = [log_probability(model, k, until_end(row)) for k, row in enumerate(rows.tolist())]
        return sum(each) / count

    batch = sources(count)
    narrow = mean_score(greedy(model, batch, LONGEST))
    wide = mean_score(beam(model, batch, LONGEST, width=8, length_penalty=0.0))
    assert wide > narrow + 0.05


def planted() -> Table:
    """3 is likelier at first, but whatever follows it is not; 4 leads to a sure end."""
    first = torch.tensor([-9.0, -9.0, -9.0, math.log(0.6), math.log(0.4)])
    sure_end = torch.tensor([-20.0, -20.0, 0.0, -20.0, -20.0])
    table = {(0, START): first, (0, START, 3): torch.zeros(VOCABULARY), (0, START, 4): sure_end}
    for token in range(VOCABULARY):
        table[0, START, 3, token] = sure_end
    return Table(table)


def test_a_beam_finds_what_greedy_misses():
    model, batch = planted(), sources(1)
    assert greedy(model, batch, 3).tolist()[0][0] == 3
    assert until_end(beam(model, batch, 3, width=2).tolist()[0]) == (4, END)


def test_the_length_penalty_prefers_the_longer():
    """The end at once has .5; three sure words and the end have .45 altogether."""
    at_once = torch.tensor([-30.0, -30.0, math.log(0.5), math.log(0.45), math.log(0.05)])
    go_on = torch.tensor([-30.0, -30.0, -30.0, 0.0, -30.0])
    end = torch.tensor([-30.0, -30.0, 0.0, -30.0, -30.0])
    table = {
        (0, START): at_once,
        (0, START, 3): go_on,
        (0, START, 3, 3): go_on,
        (0, START, 3, 3, 3): end,
    }
    written = {
        alpha: until_end(
            beam(Table(table), sources(1), 5, width=2, length_penalty=alpha)[0].tolist()
        )
        for alpha in (0.0, 1.0)
    }
    assert written == {0.0: (END,), 1.0: (3, 3, 3, END)}
    score = {1: math.log(0.5) / (6 / 6), 4: math.log(0.45) / (9 / 6)}
    assert score[4] > score[1]


@pytest.mark.parametrize("width", [1, 3])
def test_rows_do_not_meet(width):
    """Each source gets the same target alone and among others."""
    model = Table()
    together = beam(model, sources(5), LONGEST, width=width).tolist()
    for k in range(5):
        batch = sources(5)._replace(source_BS=torch.tensor([[k]]))
        alone = beam(model, batch, LONGEST, width=width).tolist()[0]
        assert until_end(alone) == until_end(together[k])


def test_nothing_is_longer_than_allowed():
    never = {(0, START, *([3] * k)): torch.tensor([-9.0, -9.0, -9.0, 9.0, -9.0]) for k in range(9)}
    model = Table(never)
    assert greedy(model, sources(1), 6).tolist() == [[3] * 6]
    assert beam(model, sources(1), 6, width=1).tolist() == [[3] * 6]
