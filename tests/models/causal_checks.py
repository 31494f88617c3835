"""What every system that carries its past must keep, whatever is inside it. In float64."""

from typing import Any

import torch
from torch import Tensor

from seqarena.core.batch import Batch, Problem
from seqarena.core.shapes import measured_state_bytes, state_tensors
from seqarena.models.language.causal_system import CausalSystem
from seqarena.models.model import SystemConfig, build_system, select

VOCAB = 13


def build(system: str, problem: Problem, width: int = 6, **options: Any) -> Any:
    """The system, drawn from seed 0 with biases that are not zero, in float64 and evaluation."""
    torch.manual_seed(0)
    place = f"seqarena.models.{system}"
    config = SystemConfig(system=place, problem=problem, width=width, options=options)
    model = build_system(config).double().eval()
    for parameter in model.parameters():
        if parameter.dim() == 1:
            parameter.data += 0.3 * torch.randn_like(parameter)
    return model


def tokens(*shape: int, seed: int = 0) -> Tensor:
    return torch.randint(VOCAB, shape, generator=torch.Generator().manual_seed(seed))


def check_split_anywhere(model: CausalSystem) -> None:
    """A state continues where the call stopped; its bytes are those that the model declares."""
    tokens_BT = tokens(2, 23)
    with torch.no_grad():
        whole_BTV, _ = model(tokens_BT)
        state, found = model.initial_state(2, 23), []
        for piece_BT in tokens_BT.split([9, 1, 1, 5, 1, 6], dim=1):
            logits_BTV, state = model(piece_BT, state)
            found.append(logits_BTV)
    torch.testing.assert_close(torch.cat(found, 1), whole_BTV)
    assert measured_state_bytes(state) == 2 * model.state_bytes(23)
    assert all(len(tensor) == 2 for tensor in state_tensors(state))


def check_padding(model: CausalSystem) -> None:
    """Left, right and inner padding change no logits, and move no state."""
    tokens_BT = tokens(3, 17)
    mask_BT = torch.ones(3, 17, dtype=torch.bool)
    mask_BT[0, :6], mask_BT[1, 11:], mask_BT[2, 4:9] = False, False, False
    next_B1 = tokens(3, 1, seed=1)
    with torch.no_grad():
        padded_BTV, state = model(tokens_BT, mask_BT=mask_BT)
        after_B1V, _ = model(next_B1, state)
        for row in range(3):
            own = tokens_BT[row : row + 1, mask_BT[row]]
            alone_BTV, own_state = model(own)
            torch.testing.assert_close(padded_BTV[row, mask_BT[row]], alone_BTV[0])
            after_1V, _ = model(next_B1[row : row + 1], own_state)
            torch.testing.assert_close(after_B1V[row], after_1V[0])


def check_reach(model: CausalSystem) -> None:
    """Changing one input changes exactly the layers' outputs at it and in the field behind it,
    and no answer elsewhere (a rectified head may hide a change)."""
    field = model.receptive_field
    length = 2 * field + 3
    tokens_1T = tokens(1, length)
    steps_T = torch.arange(length)

    def outputs(tokens_1T: Tensor) -> Tensor:
        return model.mix(model.embed(tokens_1T), None, None)[0][0]

    with torch.no_grad():
        before_TD, answers_TV = outputs(tokens_1T), model(tokens_1T)[0][0]
        for changed in range(length):
            other_1T = tokens_1T.clone()
            other_1T[0, changed] = (other_1T[0, changed] + 1) % VOCAB
            moved_T = (outputs(other_1T) != before_TD).any(-1)
            expected_T = (steps_T >= changed) & (steps_T < changed + field)
            assert torch.equal(moved_T, expected_T), f"input {changed}"
            answers_moved_T = (model(other_1T)[0][0] != answers_TV).any(-1)
            assert not (answers_moved_T & ~expected_T).any()


def pairs_problem(source_vocab: int = 11) -> Problem:
    return Problem(
        form="pairs", num_outputs=VOCAB, vocab_size=VOCAB, source_vocab_size=source_vocab,
        max_length=16, max_source_length=16,
    )  # fmt: skip


def only_sources(source_BS: Tensor) -> Batch:
    """Pairs of which nothing is written yet."""
    return Batch(source_BS[:, :0], source_BS[:, :0], source_BS=source_BS)


def check_pairs_padding(model: Any) -> None:
    """The same pair alone and among longer ones, padded on either side, gives the same logits."""
    source_BS, target_BT = tokens(3, 12) % 11, tokens(3, 10, seed=1)
    source_mask_BS = torch.ones(3, 12, dtype=torch.bool)
    mask_BT = torch.ones(3, 10, dtype=torch.bool)
    source_mask_BS[0, 7:], source_mask_BS[1, :3] = False, False
    mask_BT[0, 6:], mask_BT[1, :5] = False, False
    batch = Batch(target_BT, target_BT, mask_BT, source_BS, source_mask_BS)
    with torch.no_grad():
        padded_BTV = model.answer(batch)
        for row in range(3):
            own_1T = target_BT[row : row + 1, mask_BT[row]]
            own_1S = source_BS[row : row + 1, source_mask_BS[row]]
            alone_1TV = model.answer(Batch(own_1T, own_1T, source_BS=own_1S))
            torch.testing.assert_close(padded_BTV[row, mask_BT[row]], alone_1TV[0])


def check_pairs_steps(model: Any) -> None:
    """Step after step equals the whole target at once, also when a search reorders the rows."""
    source_BS, target_BT = tokens(3, 9) % 11, tokens(3, 14, seed=1)
    source_mask_BS = torch.ones(3, 9, dtype=torch.bool)
    source_mask_BS[1, 4:] = False
    order_B = torch.tensor([2, 0, 1])
    batch = Batch(target_BT, target_BT, None, source_BS, source_mask_BS)
    with torch.no_grad():
        whole_BTV = model.answer(batch)
        state, found = model.begin(batch, 14), []
        for step, token_B in enumerate(target_BT.unbind(1)):
            if step == 6:
                state = select(state, order_B)
            logits_BV, state = model.step(token_B if step < 6 else token_B[order_B], state)
            found.append(logits_BV)
    torch.testing.assert_close(torch.stack(found[:6], 1), whole_BTV[:, :6])
    torch.testing.assert_close(torch.stack(found[6:], 1), whole_BTV[order_B, 6:])


def check_pairs_causality(model: Any) -> None:
    """A target token changes no earlier answer; every source token reaches some answer."""
    source_1S, target_1T = tokens(1, 6) % 11, tokens(1, 9, seed=1)

    def moved(source: Tensor, target: Tensor) -> Tensor:
        return (model.answer(Batch(target, target, source_BS=source)) != before).any(-1)[0]

    with torch.no_grad():
        before = model.answer(Batch(target_1T, target_1T, source_BS=source_1S))
        for step in range(9):
            other_1T = target_1T.clone()
            other_1T[0, step] = (other_1T[0, step] + 1) % VOCAB
            moved_T = moved(source_1S, other_1T)
            assert not moved_T[:step].any()
            assert moved_T[step]
        for step in range(6):
            other_1S = source_1S.clone()
            other_1S[0, step] = (other_1S[0, step] + 1) % 11
            assert moved(other_1S, target_1T).any()


def check_everything_is_trained(model: Any, batch: Batch) -> None:
    """Every parameter gets a gradient that is finite."""
    model.answer(batch).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name
