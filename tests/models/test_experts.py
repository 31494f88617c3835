"""Noisy top-k experts: the equations in plain NumPy, the balance losses, padding."""

import numpy as np
import torch
from scipy.stats import norm

from seqarena.models.stacks.experts import BALANCE, Experts


def made() -> Experts:
    torch.manual_seed(0)
    experts = Experts(6, 5, 1, experts=4, chosen=2).double()
    for parameter in (experts.gate_XD, experts.noise_XD):
        torch.nn.init.normal_(parameter)
    return experts


def softmax(x: np.ndarray) -> np.ndarray:
    return np.exp(x - x.max()) / np.exp(x - x.max()).sum()


def test_a_position_gets_the_weighted_answers_of_its_two_experts() -> None:
    experts = made().eval()
    x_BTD = torch.randn(2, 5, 6, dtype=torch.float64)
    found = experts(x_BTD).detach().flatten(0, 1).numpy()
    for x_D, y_D in zip(x_BTD.flatten(0, 1), found):
        scores = experts.gate_XD.detach().numpy() @ x_D.numpy()
        chosen = np.argsort(-scores)[:2]
        gates = softmax(scores[chosen])
        answers = [experts.experts[i](x_D[None])[0].detach().numpy() for i in chosen]
        np.testing.assert_allclose(y_D, gates @ np.stack(answers), rtol=1e-12, atol=1e-14)


def test_losses_are_those_of_the_paper() -> None:
    experts = made().train()
    x_ND = torch.randn(7, 6, dtype=torch.float64)
    torch.manual_seed(5)
    gates_NX, loss = experts.gates(x_ND, None)
    torch.manual_seed(5)
    noise = torch.randn(7, 4, dtype=torch.float64).numpy()
    clean = x_ND.numpy() @ experts.gate_XD.detach().numpy().T
    deviation = np.log1p(np.exp(x_ND.numpy() @ experts.noise_XD.detach().numpy().T)) + 1e-2
    noisy = clean + noise * deviation
    load, importance = np.zeros(4), np.zeros(4)
    for n in range(7):
        top = np.argsort(-noisy[n])[:2]
        importance[top] += softmax(noisy[n][top])
        for i in range(4):
            others = np.sort(np.delete(noisy[n], i))[::-1]
            load[i] += norm.cdf((clean[n, i] - others[1]) / deviation[n, i])
    np.testing.assert_allclose(gates_NX.detach().sum(0), importance, rtol=1e-12)

    def variation(x: np.ndarray) -> float:
        return x.var() / x.mean() ** 2

    expected = BALANCE * (variation(importance) + variation(load))
    np.testing.assert_allclose(loss.item(), expected, rtol=1e-8)


def test_without_training_there_is_no_noise_and_no_loss() -> None:
    experts = made().eval()
    x_BTD = torch.randn(2, 3, 6, dtype=torch.float64)
    assert torch.equal(experts(x_BTD), experts(x_BTD))
    assert experts.balance_loss is None


def test_padding_has_no_part_in_the_balance() -> None:
    experts = made().train()
    x_BTD = torch.randn(2, 3, 6, dtype=torch.float64)
    mask_BT = torch.tensor([[True, True, False], [True, False, False]])
    losses = []
    for filler in (0.0, 9.0):
        torch.manual_seed(1)
        experts(torch.where(mask_BT[..., None], x_BTD, filler), mask_BT)
        losses.append(experts.balance_loss.item())
    assert losses[0] == losses[1]


def test_the_balance_loss_spreads_the_load() -> None:
    """All positions prefer one expert; training on the balance alone undoes it."""
    experts = made().train()
    x_ND = torch.rand(64, 6, dtype=torch.float64)
    with torch.no_grad():
        experts.gate_XD[0] += 3.0
    optimizer = torch.optim.Adam([experts.gate_XD, experts.noise_XD], 0.05)

    def share() -> float:
        gates_NX = experts.eval().gates(x_ND, None)[0]
        experts.train()
        return float((gates_NX[:, 0] > 0).double().mean())

    before = share()
    for _ in range(200):
        optimizer.zero_grad()
        experts.gates(x_ND, None)[1].backward()
        optimizer.step()
    assert before == 1.0
    assert share() < 0.9


def test_only_the_chosen_experts_are_paid_for() -> None:
    all_of_them, two = (Experts(6, 5, 1, experts=4, chosen=k).flops(10) for k in (4, 2))
    expert = 4 * 10 * 6 * 5
    assert all_of_them - two == 2 * expert
