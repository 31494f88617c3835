"""The Extended Neural GPU against its equations in plain NumPy, cell by cell, and learning."""

import numpy as np
import pytest
import torch
from pair_checks import PROBLEM, left_padded, ragged, share_learned, small

from seqarena.core.errors import UserError
from seqarena.core.shapes import measured_state_bytes

NAME = "extended_neural_gpu"
N, W, M = 12, 2, 6  # positions of the memory: the longest side of the problem


def convolved(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """image [N, W, I], kernel [3, 3, I, O] -> [N, W, O]; zeros beyond the edges."""
    found = np.zeros((N, W, kernel.shape[-1]))
    for n in range(N):
        for w in range(W):
            for i in range(3):
                for j in range(3):
                    if 0 <= n + i - 1 < N and 0 <= w + j - 1 < W:
                        found[n, w] += image[n + i - 1, w + j - 1] @ kernel[i, j]
    return found


def cgru(weights: dict[str, np.ndarray], where: str, s: np.ndarray, p: np.ndarray | None):
    def kernels(name: str) -> tuple[np.ndarray, np.ndarray]:
        """Of the memory and of the tape."""
        kernel = weights[f"{where}.{name}"]
        kernel = kernel.reshape(3, 3, -1, kernel.shape[1])
        return kernel[:, :, :M], kernel[:, :, M:]

    def gate(rows: slice) -> np.ndarray:
        u, w = (kernel[..., rows] for kernel in kernels("gates"))
        x = convolved(s, u) + (0 if p is None else convolved(p, w))
        x = x + weights[f"{where}.gate_bias"][rows]
        return np.clip(1.2 / (1 + np.exp(-x)) - 0.1, 0, 1)

    r, u = gate(slice(0, M)), gate(slice(M, 2 * M))
    of_memory, of_tape = kernels("candidate")
    x = convolved(r * s, of_memory) + (0 if p is None else convolved(p, of_tape))
    return u * s + (1 - u) * np.tanh(x + weights[f"{where}.candidate_bias"])


def by_hand(weights: dict[str, np.ndarray], source: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    """Logits of one example."""
    memory = np.zeros((N, W, M))
    memory[: len(source), 0] = weights["source_tokens.weight"][source]
    for _ in source:
        for layer in range(2):
            memory = cgru(weights, f"encoder.{layer}", memory, None)
    tape, logits = np.zeros((N, W, M)), []
    for t in range(len(inputs)):
        if t > 0:
            tape[t - 1] = weights["target_tokens.weight"][inputs[t]]  # in both columns
        for layer in range(2):
            memory = cgru(weights, f"decoder.{layer}", memory, tape)
        logits.append(weights["output.weight"] @ memory[t, 0] + weights["output.bias"])
    return np.stack(logits)


def test_by_hand_on_rows_of_unequal_length() -> None:
    model, batch = small(NAME, columns=W), ragged()
    weights = {name: p.detach().numpy() for name, p in model.named_parameters()}
    found = model.answer(batch).detach().numpy()
    assert batch.source_BS is not None
    for b in range(3):
        source = batch.source_BS[b][batch.source_mask_BS[b]].numpy()  # pyright: ignore
        inputs = batch.inputs_BT[b][batch.mask_BT[b]].numpy()  # pyright: ignore
        expected = by_hand(weights, source, inputs)
        np.testing.assert_allclose(found[b, : len(inputs)], expected, rtol=1e-9, atol=1e-11)


def test_padding_on_the_left_changes_nothing() -> None:
    model, batch = small(NAME), ragged()
    moved = left_padded(batch)
    found, again = model.answer(batch), model.answer(moved)
    assert batch.mask_BT is not None
    torch.testing.assert_close(again[moved.mask_BT], found[batch.mask_BT])  # pyright: ignore


def test_a_token_at_a_time_is_the_whole() -> None:
    model, batch = small(NAME), ragged()
    whole = model.answer(batch)
    assert batch.source_BS is not None
    state = model.begin(batch, 12)
    assert measured_state_bytes(state) == 3 * model.state_bytes(5)
    for t in range(2):  # as far as the shortest target goes
        logits_BV, state = model.step(batch.inputs_BT[:, t], state)
        torch.testing.assert_close(logits_BV, whole[:, t])


def test_a_word_knows_the_words_before_it_and_not_those_behind() -> None:
    model, batch = small(NAME), ragged()
    changed = batch.inputs_BT.clone()
    changed[0, 2] = 4 + (changed[0, 2] - 3) % 9
    before, after = (model.answer(batch._replace(inputs_BT=x)) for x in (batch.inputs_BT, changed))
    assert torch.equal(before[0, :2], after[0, :2])
    assert not torch.allclose(before[0, 2], after[0, 2], rtol=0, atol=1e-9)


def test_no_more_than_the_memory_has() -> None:
    model, batch = small(NAME), ragged()
    assert batch.source_BS is not None
    with pytest.raises(UserError, match="memory has 12 positions, and 13 are needed"):
        model.begin(batch, PROBLEM.max_length + 1)


def test_it_learns_to_write_words_backwards() -> None:
    assert share_learned(NAME, width=24, steps=80, rate=1e-2, columns=1, layers=1) >= 0.9
