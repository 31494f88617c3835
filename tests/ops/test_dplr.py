"""The state space of a diagonal less one rank: the loop against dense matrices. The fast forms
against the loop: test_complex_states.py."""

import numpy as np
import pytest
import torch

from seqarena.core.errors import UserError
from seqarena.ops.dplr import DPLR, dplr_ssm
from tests.ops.test_complex_states import SPACES, problem

ALGORITHMS = dplr_ssm.available("cpu", torch.float64)


def test_the_loop_is_the_dense_bilinear_rule():
    """With every state and its conjugate, and matrices that are inverted as they stand."""
    inputs, _ = problem(SPACES["dplr"], 12, torch.float64)
    u, step, a, p, b, c, start = (x.detach() for x in inputs)
    y, state = dplr_ssm(u, DPLR(step, a, p, b, c), start, algorithm="loop")
    for d in range(3):
        halves = [x[d].numpy() for x in (a, p, b, c)]
        both = [np.concatenate([x, x.conj()]) for x in halves]
        half = float(step[d]) / 2
        a_MM = half * (np.diag(both[0]) - np.outer(both[1], both[1].conj()))
        decay_MM = np.linalg.solve(np.eye(8) - a_MM, np.eye(8) + a_MM)
        into_M = np.linalg.solve(np.eye(8) - a_MM, 2 * half * both[2])
        start_N = start[0, d].numpy()
        h_M = np.concatenate([start_N, start_N.conj()])
        for t in range(12):
            h_M = decay_MM @ h_M + into_M * float(u[0, t, d])
            assert abs(both[3] @ h_M - complex(y[0, t, d])) < 1e-12
        assert np.abs(h_M[:4] - state[0, d].numpy()).max() < 1e-12


def test_unknown_algorithm():
    (u, *system, start), _ = problem(SPACES["dplr"], 2, torch.float32)
    with pytest.raises(UserError, match="did you mean cauchy"):
        dplr_ssm(u, DPLR(*system), start, algorithm="cauchi")


def test_serial_steps():
    assert ALGORITHMS == ("loop", "cauchy", "chunked")
    assert [dplr_ssm.serial_steps(name, 128) for name in ALGORITHMS] == [128, 38, 6]
