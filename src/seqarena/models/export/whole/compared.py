"""Whole graphs beside the model: at sizes that were never traced, with rows that end early."""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from seqarena.core.batch import START, Batch, Problem
from seqarena.core.shapes import lengths_to_mask
from seqarena.models.export.compared import LENGTHS, ROWS, relative_difference
from seqarena.models.export.whole.graph import PairGraphs, batch_of, ports
from seqarena.models.model import Model

NUMBERS_DEPEND_ON_THIS = False  # see jobs/sources.py
Run = Callable[..., Sequence[Tensor]]  # tensors in, by the ports of a graph, and tensors out
_TARGET = 6  # positions of a target
_LETTERS = 5  # of the longest word


def difference_of_whole(model: Model, run: Run) -> float:
    """The largest between the logits of `run` and the model's own, at real positions, relative to
    the model's largest (at least 1); of full rows and of rows of which all but one end early."""
    worst = 0.0
    for given in whole_inputs(model.problem):
        batch = batch_of(model.problem, *given)
        if batch.mask_BT is not None and bool(batch.mask_BT.all()):
            batch = batch._replace(mask_BT=None)  # which a graph does not have
        with torch.no_grad():
            expected = model.answer(batch)
        every = model.problem.at_every_position
        real_BT = batch.mask_BT if every else None
        worst = max(worst, difference(run(*given)[0], expected, real_BT))
    return worst


def difference_of_pairs(model: Model, encoder: Run, step: Run, graphs: PairGraphs) -> float:
    """The same of the logits of whole targets, position after position."""
    worst = 0.0
    for source_BS, lengths_B in source_inputs(model.problem):
        inputs_BT = _targets(model.problem, len(source_BS))
        real_BS = lengths_to_mask(lengths_B, source_BS.shape[1])
        mask_BS = None if bool(real_BS.all()) else real_BS
        batch = Batch(inputs_BT, inputs_BT, source_BS=source_BS, source_mask_BS=mask_BS)
        with torch.no_grad():
            expected = model.answer(batch)
        state = dict(zip(graphs.encoder.outputs, encoder(source_BS, lengths_B), strict=True))
        found = []
        for input_B in inputs_BT.unbind(1):
            logits_BV, state = stepped(graphs, step, input_B, state)
            found.append(logits_BV)
        worst = max(worst, difference(torch.stack(found, 1), expected))
    return worst


def stepped(
    graphs: PairGraphs, step: Run, input_B: Tensor, state: dict[str, Tensor]
) -> tuple[Tensor, dict[str, Tensor]]:
    """One position further: the logits, and the state, of which what is only read stays."""
    logits_BV, *after = step(input_B, *(state[port.name] for port in graphs.step.inputs[1:]))
    names = [name.removeprefix("next_") for name in graphs.step.outputs[1:]]
    return logits_BV, {**state, **dict(zip(names, after, strict=True))}


def difference(found: Tensor, expected: Tensor, real_BT: Tensor | None = None) -> float:
    """NaN, and an impossible answer that is possible there, count as infinitely far."""
    lowest = torch.finfo(expected.dtype).min
    impossible = expected <= lowest / 2  # a place where no span can be
    if real_BT is not None:
        found, expected = found[real_BT], expected[real_BT]
        impossible = impossible[real_BT]
    if not torch.equal(impossible, found <= lowest / 2):
        return float("inf")
    expected, found = (x.masked_fill(impossible, 0.0) for x in (expected, found))
    return relative_difference(found, expected)


def whole_inputs(problem: Problem) -> Iterator[tuple[Tensor, ...]]:
    """What the ports take, at every size; the same at each call."""
    for rows in ROWS:
        for length in sorted({min(length, problem.max_length) for length in LENGTHS}):
            for lengths_B in _lengths(rows, length):
                yield _random_inputs(problem, lengths_B, length)
        if problem.image is not None:  # a picture has one size
            return


def source_inputs(problem: Problem) -> Iterator[tuple[Tensor, Tensor]]:
    """Sources and their lengths, at every size; the same at each call."""
    for rows in ROWS:
        for length in sorted({min(length, problem.max_source_length) for length in LENGTHS}):
            draw = torch.Generator().manual_seed(rows * 1000 + length)
            for lengths_B in _lengths(rows, length):
                shape = (rows, length)
                yield torch.randint(problem.source_vocab_size, shape, generator=draw), lengths_B


def _lengths(rows: int, length: int) -> Iterator[Tensor]:
    """All full; then one full, the others shorter."""
    yield torch.full((rows,), length)
    if rows > 1 and length > 1:
        yield torch.tensor([max(1, length // (row + 1)) for row in range(rows)])


def _random_inputs(problem: Problem, lengths_B: Tensor, length: int) -> tuple[Tensor, ...]:
    rows = len(lengths_B)
    draw = torch.Generator().manual_seed(rows * 1000 + length)
    found = []
    for port in ports(problem):
        like = port.zeros(rows=rows, length=length, letters=_LETTERS)
        if port.name == "lengths":
            found.append(lengths_B)
        elif port.name == "segments":  # one sentence behind the other
            place_BT = torch.arange(length) * problem.num_segments // lengths_B[:, None]
            found.append(place_BT.clamp(max=problem.num_segments - 1))
        elif like.is_floating_point():
            found.append(torch.randn(like.shape, generator=draw))
        elif port.name == "categories":
            sizes = problem.categories
            each = [torch.randint(n, like.shape[:2], generator=draw) for n in sizes]
            found.append(torch.stack(each, -1))
        elif port.name == "characters":
            letters = torch.randint(1, problem.num_characters, like.shape, generator=draw)
            ends = torch.randint(1, _LETTERS + 1, (rows, length, 1), generator=draw)
            found.append(letters.masked_fill(torch.arange(_LETTERS) >= ends, 0))
        else:
            found.append(torch.randint(problem.vocab_size, like.shape, generator=draw))
    return tuple(found)


def _targets(problem: Problem, rows: int) -> Tensor:
    """START and some tokens."""
    draw = torch.Generator().manual_seed(rows)
    length = min(_TARGET, problem.max_length)
    inputs_BT = torch.randint(problem.vocab_size, (rows, length), generator=draw)
    inputs_BT[:, 0] = START
    return inputs_BT
