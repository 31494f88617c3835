"""The stack-augmented recurrent network: the contract, the published equations, what it costs."""

import numpy as np
import pytest
import torch

from seqarena.mixers.contract import CHECKS, subject
from seqarena.mixers.memory.stack_rnn import StackRNN, StackRNNConfig

CONFIGS = {
    "default": StackRNNConfig(depth=5, cell_size=2),
    "as first published": StackRNNConfig(
        num_stacks=2, depth=3, cell_size=2, nonlinearity="sigmoid", value="sigmoid"
    ),
    "relu": StackRNNConfig(depth=2, cell_size=1, nonlinearity="relu"),
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_contract(check, config):
    check(subject(StackRNN, config))


def build(width=5, dtype=torch.float64, **fields):
    torch.manual_seed(0)
    return StackRNN(width, StackRNNConfig(**{"depth": 4, "cell_size": 2, **fields})).to(dtype)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def in_numpy(mixer, x_TD):
    """Slot by slot, as StackRNNCore of Deletang et al. 2023 reads: the top by itself first, then
    the others, below which is zero. Sigmoids where the configuration has those of the paper."""
    p = {name: value.detach().numpy() for name, value in mixer.named_parameters()}
    config = mixer.config
    f = {"relu": lambda x: np.maximum(x, 0), "tanh": np.tanh, "sigmoid": sigmoid}
    G, C, K = config.num_stacks, config.depth, config.cell_size
    h_E, stacks_GCK, outputs = np.zeros(mixer.width), np.zeros((G, C, K)), []
    for x_D in x_TD:
        top_K = stacks_GCK[:, 0].reshape(-1)
        h_E = p["input_ED"] @ x_D + p["recurrent_EE"] @ h_E + p["top_EK"] @ top_K + p["bias_E"]
        h_E = f[config.nonlinearity](h_E)
        outputs.append(h_E)
        acts_F = p["action_FE"] @ h_E + p["action_bias_F"]
        new_GCK = np.zeros_like(stacks_GCK)
        for g in range(G):
            push, pop, keep = np.exp(acts_F[3 * g : 3 * g + 3])
            push, pop, keep = np.array([push, pop, keep]) / (push + pop + keep)
            value_K = acts_F[3 * G + K * g : 3 * G + K * (g + 1)]
            value_K = sigmoid(value_K) if config.value == "sigmoid" else value_K
            old_CK = np.concatenate([stacks_GCK[g], np.zeros((1, K))])
            new_GCK[g, 0] = push * value_K + pop * old_CK[1] + keep * old_CK[0]
            for i in range(1, C):
                new_GCK[g, i] = push * old_CK[i - 1] + pop * old_CK[i + 1] + keep * old_CK[i]
        stacks_GCK = new_GCK
    return torch.from_numpy(np.stack(outputs)), torch.from_numpy(stacks_GCK)


@pytest.mark.parametrize("algorithm", StackRNN.operation.available("cpu", torch.float64))
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_parity_with_the_equations(config, algorithm):
    mixer = build(**{**config.model_dump(), "algorithm": algorithm})
    x_BTD = torch.randn(1, 15, 5, dtype=torch.float64)
    y_BTE, state = mixer(x_BTD)
    expected_TE, stacks_GCK = in_numpy(mixer, x_BTD[0].numpy())
    torch.testing.assert_close(y_BTE[0], expected_TE, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(state.stack_BGCK[0], stacks_GCK, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("algorithm", StackRNN.operation.available("cpu", torch.float64))
def test_sure_actions_make_a_stack(algorithm):
    """Inputs say what to do: the stack then holds the very numbers, the last one on top."""
    fields = {"depth": 3, "cell_size": 1, "nonlinearity": "relu", "algorithm": algorithm}
    mixer = build(width=4, dtype=torch.float32, **fields)
    with torch.no_grad():
        for parameter in mixer.parameters():
            parameter.zero_()
        mixer.input_ED.copy_(torch.eye(4))
        mixer.action_FE[:3, :3] = 100 * torch.eye(3)  # push, pop, no-op
        mixer.action_FE[3, 3] = 1.0  # the value
    push, pop, keep = torch.eye(4)[:3]
    value = torch.eye(4)[3]
    moves = [push + 5 * value, push + 7 * value, keep, push + 9 * value, pop, push + 2 * value]
    state = mixer(torch.stack(moves)[None])[1]
    assert state.stack_BGCK.flatten().tolist() == pytest.approx([2.0, 7.0, 5.0])
    deeper = mixer(torch.stack([push + 3 * value, pop, pop])[None], state)[1]
    # the fifth number down fell out below
    assert deeper.stack_BGCK.flatten().tolist() == pytest.approx([7.0, 0.0, 0.0])


def test_costs():
    mixer = build(width=6, num_stacks=2, depth=4, cell_size=3, dtype=torch.float32)
    products = 6 * (6 + 6 + 6) + (3 * 2 + 6) * 6
    assert mixer.flops(10) == 10 * (2 * products + 5 * 24)
    assert mixer.state_bytes(1) == mixer.state_bytes(100) == 4 * (6 + 24)


@pytest.mark.parametrize("algorithm", StackRNN.operation.available("cpu", torch.float64))
def test_the_state_stays_float32_under_autocast(algorithm):
    mixer = build(width=8, dtype=torch.float32, algorithm=algorithm)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y_BTE, state = mixer(torch.randn(2, 9, 8))
        y_BTE.float().sum().backward()
    assert state.h_BE.dtype == state.stack_BGCK.dtype == torch.float32


def test_impossible_sizes():
    with pytest.raises(ValueError, match="depth"):
        StackRNNConfig(depth=1)
