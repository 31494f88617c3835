"""A language model that starts its rows from the states of other rows, and reads letters again.

The longest text, "LSTM Implementation with PyTorch". Its model is right. Its loop says

    dataloader = DataLoader(dataset, batch_size=32, shuffle=True)
    outputs, hidden = model(batch_inputs, hidden)

so that a row starts from the state of an unrelated row, and the last batch, which is smaller, ends
the program. What it would write with feeds the last letters again into a state that has read them:

    current_seq = current_seq[1:] + [next_char_idx]

Both are trained and measured here on text of Python's library: the first costs a little, the second
work alone.

    python examples/texts/lstm_text.py
"""

from itertools import pairwise
from pydoc_data.topics import topics
from typing import NamedTuple

import torch
from torch import nn
from torch.nn.functional import cross_entropy

LETTERS, WINDOW, BATCH = 356, 30, 32  # of the program: its text, its windows, its batches
PROMPT = 16  # letters of "Natural language"
TRAINED, HELD_OUT = 90_000, 4_000  # letters


class Finding(NamedTuple):
    rows: int  # that a first epoch carries a state into
    rows_that_follow: int  # of these, those that begin where the row of their state ended
    last_batch: int
    refusal: str  # what torch says to the last batch
    fresh: float  # held-out nats a letter, trained from zero states; mean of two seeds
    carried: float  # trained from the states of other rows
    read_once: float  # nats a letter of a trained model that continues a text
    read_again: float  # the same model fed as the program feeds it
    work: float  # letters that it reads then, over the letters that there are


class Letters(nn.Module):
    """Letters [B, T] -> logits [B, T, V], and the state."""

    def __init__(self, symbols: int, width: int = 64) -> None:
        super().__init__()
        self.embedding = nn.Embedding(symbols, width)
        self.lstm = nn.LSTM(width, width, batch_first=True)
        self.head = nn.Linear(width, symbols)

    def forward(self, letters_BT: torch.Tensor, state=None):
        y_BTD, state = self.lstm(self.embedding(letters_BT), state)
        return self.head(y_BTD), state


def carried_rows() -> tuple[int, int]:
    """Rows that get a state in one epoch, and how many of them follow on the row that it is of."""
    generator = torch.Generator().manual_seed(0)
    starts = torch.randperm(LETTERS - WINDOW, generator=generator)
    batches = [batch for batch in starts.split(BATCH) if len(batch) == BATCH]
    pairs = list(pairwise(batches))
    follow = sum(int((before + WINDOW == after).sum()) for before, after in pairs)
    return len(pairs) * BATCH, follow


def refused(rows: int) -> str:
    """What an LSTM says to a batch of `rows` with the state of a whole batch."""
    lstm = nn.LSTM(8, 8, 2, batch_first=True)
    _, state = lstm(torch.zeros(BATCH, WINDOW, 8))
    try:
        lstm(torch.zeros(rows, WINDOW, 8), state)
    except RuntimeError as error:
        return str(error)
    return ""


def trained(tokens_T: torch.Tensor, seed: int, steps: int, *, carry: bool) -> Letters:
    """From windows in random order, each from a zero state or from the state of another row."""
    torch.manual_seed(seed)
    model, state = Letters(int(tokens_T.max()) + 1), None
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    for _ in range(steps):
        starts = torch.randint(TRAINED - WINDOW, (BATCH,))
        rows_BT = torch.stack([tokens_T[start : start + WINDOW + 1] for start in starts])
        logits_BTV, state = model(rows_BT[:, :-1], state if carry else None)
        state = tuple(part.detach() for part in state)
        loss = cross_entropy(logits_BTV.flatten(0, 1), rows_BT[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


@torch.no_grad()
def held_out(model: Letters, tokens_T: torch.Tensor) -> float:
    """Nats a letter of windows that were not trained on, each from a zero state."""
    rows_BT = tokens_T[TRAINED : TRAINED + HELD_OUT].unfold(0, WINDOW + 1, WINDOW)
    logits_BTV, _ = model(rows_BT[:, :-1])
    return float(cross_entropy(logits_BTV.flatten(0, 1), rows_BT[:, 1:].flatten()))


@torch.no_grad()
def continued(model: Letters, tokens_T: torch.Tensor, *, again: bool) -> tuple[float, float]:
    """Nats that the model gives to each true next letter, fed as one that writes feeds it; letters
    read over letters there."""
    logits_BTV, state = model(tokens_T[None, :PROMPT])
    nats, read = 0.0, PROMPT
    for t in range(PROMPT, len(tokens_T)):
        nats -= float(logits_BTV[0, -1].log_softmax(0)[tokens_T[t]])
        first = t + 1 - PROMPT if again else t
        logits_BTV, state = model(tokens_T[None, first : t + 1], state)
        read += t + 1 - first
    return nats / (len(tokens_T) - PROMPT), read / len(tokens_T)


def main(steps: int = 200) -> Finding:
    text = "\n".join(topics[name] for name in sorted(topics))[: TRAINED + HELD_OUT]
    alphabet = sorted(set(text))
    tokens_T = torch.tensor([alphabet.index(letter) for letter in text])
    fresh, carried = (
        [trained(tokens_T, seed, steps, carry=carry) for seed in (0, 1)] for carry in (False, True)
    )
    last = (LETTERS - WINDOW) % BATCH
    once, _ = continued(fresh[0], tokens_T[-400:], again=False)
    again, work = continued(fresh[0], tokens_T[-400:], again=True)
    found = Finding(
        *carried_rows(),
        last,
        refused(last),
        sum(held_out(model, tokens_T) for model in fresh) / 2,
        sum(held_out(model, tokens_T) for model in carried) / 2,
        once,
        again,
        work,
    )
    print(f"rows that get a state: {found.rows}; rows that follow on it: {found.rows_that_follow}")
    print(f"the last batch, of {found.last_batch} rows: {found.refusal}")
    print(f"measured: nats a held-out letter, trained from zero states: {found.fresh:.3f}")
    print(f"measured: trained from the states of other rows: {found.carried:.3f}")
    print(f"measured: nats a letter of a text that is continued, read once: {found.read_once:.3f}")
    print(f"measured: read as the program reads: {found.read_again:.3f}")
    print(f"letters read then for each letter: {found.work:.1f}")
    return found


if __name__ == "__main__":
    main()
