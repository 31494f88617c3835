"""What the tests of encoder-decoders share: a problem, batches, and learning to reverse words."""

import torch
from torch.nn import functional

from seqarena.core.batch import END, PAD, START, Batch, Problem
from seqarena.models.build import build
from seqarena.models.model import Model
from seqarena.models.search import greedy

PROBLEM = Problem(
    form="pairs", num_outputs=13, vocab_size=13, source_vocab_size=11, causal=True,
    max_length=12, max_source_length=9,
)  # fmt: skip
WRITTEN, NUM_WORDS = 5, 12


def small(name: str, **options: object) -> Model:
    return build(name, problem=PROBLEM, width=6, options=options, seed=3).double().eval()


def ragged(seed: int = 0) -> Batch:
    """Three examples; sources of 4, 6 and 3 tokens, targets of 5, 2 and 4."""
    draw = torch.Generator().manual_seed(seed)
    source_mask = torch.arange(6) < torch.tensor([4, 6, 3])[:, None]
    mask = torch.arange(5) < torch.tensor([5, 2, 4])[:, None]
    source = torch.randint(4, 11, (3, 6), generator=draw).masked_fill(~source_mask, PAD)
    inputs = torch.randint(4, 13, (3, 5), generator=draw).masked_fill(~mask, PAD)
    inputs[:, 0] = START
    return Batch(inputs, inputs, mask, source, source_mask)


def left_padded(batch: Batch) -> Batch:
    """The same examples with all padding on the left."""
    moved = []
    for tokens, mask in ((batch.inputs_BT, batch.mask_BT), (batch.source_BS, batch.source_mask_BS)):
        assert tokens is not None
        assert mask is not None
        rows = [torch.cat((row[~real], row[real])) for row, real in zip(tokens, mask)]
        moved.append((torch.stack(rows), mask.flip(1)))
    (inputs, mask), (source, source_mask) = moved
    return Batch(inputs, inputs, mask, source, source_mask)


def share_learned(
    name: str, *, width: int = 32, steps: int, rate: float, **options: object
) -> float:
    """The share of the words of five letters that the model, trained on them, writes backwards."""
    problem = PROBLEM.model_copy(update={"source_vocab_size": 13})
    draw = torch.Generator().manual_seed(5)
    source = torch.randint(4, 13, (NUM_WORDS, WRITTEN), generator=draw)
    ends = torch.full((NUM_WORDS, 1), END)
    targets = torch.cat((source.flip(1), ends), 1)
    inputs = torch.cat((torch.full((NUM_WORDS, 1), START), targets[:, :-1]), 1)
    batch = Batch(inputs, targets, None, source)
    model = build(name, problem=problem, width=width, options=options, seed=0)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    for _ in range(steps):
        optimizer.zero_grad()
        logits = model.answer(batch)
        functional.cross_entropy(logits.flatten(0, 1), targets.flatten()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    model.eval()
    with torch.no_grad():
        written = greedy(model, batch, WRITTEN + 1)
    if written.shape[1] <= WRITTEN:
        return 0.0
    return float((written[:, : WRITTEN + 1] == targets).all(1).float().mean())
