"""The contract suite: what every sequence mixer must fulfil, as checks that can fail.

The project's tests run it on each architecture of the catalog; `seqarena check FILE.py:CLASS` runs
it on a user's own. Numbers are compared in float64 by default, where a right implementation agrees
to about 1e-9 whatever its order of summation, so that a wrong one cannot hide behind rounding.

The same suite runs on a GPU and in the dtypes of training: float32, and bfloat16 as it is trained,
that is float32 parameters under autocast. It shows that an algorithm works there at all, and that
its error is that of the dtype (`TOLERANCES`).
"""

import copy
import functools
import io
import math
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from seqarena.core.errors import UserError, one_line
from seqarena.core.shapes import map_state, measured_state_bytes
from seqarena.mixers.base import Mixer
from seqarena.mixers.checked import (
    CheckedMixer,
    ContractError,
    finished_run,
    float_tensors,
    inputs,
    run,
    same,
    same_runs,
    same_states,
    subject,
    weights,
)

__all__ = ["CHECKS", "CheckResult", "ContractError", "run_checks", "subject"]

LENGTHS = (1, 2, 63, 257)


class CheckResult(NamedTuple):
    """How one check went; `failure` None: it held."""

    name: str
    failure: str | None
    seconds: float


def run_checks(s: CheckedMixer) -> Iterator[CheckResult]:
    """Every check in turn, each result as soon as it is there."""
    for name, check in CHECKS.items():
        start, failure = time.perf_counter(), None
        try:
            check(s)
        except ContractError as error:
            failure = str(error)
        except (Exception, SystemExit) as error:  # the mixer's own: it is what is being checked
            failure = one_line(error)
        yield CheckResult(name, failure, time.perf_counter() - start)


def check_equation(s: CheckedMixer) -> None:
    """The class states its equation and its orders of growth; of a plain module nothing is."""
    if s.build().unknown_costs:
        return
    if " = " not in s.mixer_class.equation:
        raise ContractError("equation: the class does not state one, such as h_t = a h_{t-1} + x_t")
    empty = [name for name, order in s.mixer_class.complexity._asdict().items() if not order]
    if empty:
        raise ContractError(f"complexity: nothing is stated for {', '.join(empty)}")


def check_causality(s: CheckedMixer) -> None:
    """Changing the future changes nothing (causal), or changes something (bidirectional)."""
    mixer, x_BTD = s.build(), inputs(s, batch=2, length=21)
    changed_BTD = x_BTD.clone()
    changed_BTD[:, 13:] = inputs(s, batch=2, length=8, seed=5)
    with torch.no_grad():
        y_BTD = s.call(mixer, x_BTD)[0]
        if y_BTD.shape != x_BTD.shape:
            raise ContractError(f"outputs of shape {tuple(y_BTD.shape)}, not {tuple(x_BTD.shape)}")
        if not bool(y_BTD.isfinite().all()):
            raise ContractError("outputs are not finite")
        before, after = y_BTD[:, :13], s.call(mixer, changed_BTD)[0][:, :13]
    if mixer.causal:
        same("outputs before the change", after, before, tolerance=0.0)
    elif torch.equal(before, after):
        raise ContractError("declared not causal, but later positions never matter")


def check_splitting(s: CheckedMixer) -> None:
    """Splitting anywhere equals the whole: outputs, final state, and every gradient."""
    if not s.build().causal:
        return
    for cuts in ((1, 22), (7, 16), (22, 1), (5, 1, 1, 16)):
        mixer, x_BTD = s.build(), inputs(s, batch=2, length=23).requires_grad_()
        whole = run(s, mixer, x_BTD)
        state, pieces = None, []
        for piece_BTD in x_BTD.split(cuts, dim=1):
            y_BTD, state = s.call(mixer, piece_BTD, state)
            pieces.append(y_BTD)
        split = finished_run(mixer, x_BTD, torch.cat(pieces, dim=1), state)
        same_runs(f"split {cuts} against the whole", split, whole, s.tolerance)


def check_decoding(s: CheckedMixer) -> None:
    """One position at a time, from a preallocated state, equals all at once."""
    if not s.build().causal:
        return
    with torch.no_grad():
        for algorithm in s.algorithms():
            mixer, x_BTD = s.build(algorithm), inputs(s, batch=2, length=40)
            whole_BTD, whole_state = s.call(mixer, x_BTD)
            state, steps = mixer.initial_state(2, max_length=40), []
            for x_B1D in x_BTD.split(1, dim=1):
                y_B1D, state = s.call(mixer, x_B1D, state)
                steps.append(y_B1D)
            decoded_BTD = torch.cat(steps, dim=1)
            same(f"decoding ({algorithm})", decoded_BTD, whole_BTD, s.tolerance)
            same_states(f"state after decoding ({algorithm})", state, whole_state, s.tolerance)


def check_padding(s: CheckedMixer) -> None:
    """Padding on the left, on the right and in between changes nothing, with a state carried on."""
    for algorithm in s.algorithms():
        mixer = s.build(algorithm)
        with torch.no_grad():
            for lead in (False, True) if mixer.causal else (False,):
                _check_padded_rows(s, mixer, lead)


def _check_padded_rows(s: CheckedMixer, mixer: Mixer, lead: bool) -> None:
    """Each row of a padded batch against its real positions by themselves."""
    length = 17
    x_BTD, lead_BTD = inputs(s, batch=4, length=length), inputs(s, batch=4, length=5, seed=3)
    next_BTD = inputs(s, batch=4, length=3, seed=11)
    mask_BT = torch.ones(4, length, dtype=torch.bool, device=s.device)
    mask_BT[0, 11:], mask_BT[1, :9], mask_BT[2, 4:8] = False, False, False
    y_BTD, state = s.call(mixer, x_BTD, s.call(mixer, lead_BTD)[1] if lead else None, mask_BT)
    if bool(y_BTD[~mask_BT].abs().max() > 0):
        raise ContractError("outputs at padding positions are not zero")
    whole_ahead = s.call(mixer, next_BTD, state)[0] if mixer.causal else None
    for b in range(4):
        row = slice(b, b + 1)
        own = s.call(mixer, lead_BTD[row])[1] if lead else None
        y_own, state_own = s.call(mixer, x_BTD[row][:, mask_BT[b]], own)
        where = f"{mixer.algorithm}, row {b}, {'with' if lead else 'without'} a state"
        same(f"padding, {where}", y_BTD[row][:, mask_BT[b]], y_own, s.tolerance)
        if whole_ahead is not None:
            ahead = s.call(mixer, next_BTD[row], state_own)[0]
            same(f"continuing after padding, {where}", whole_ahead[row], ahead, s.tolerance)


def check_rewinding(s: CheckedMixer) -> None:
    """A mixer that says that its state rewinds comes back to where it was, and goes on from it."""
    mixer = s.build()
    if not (mixer.causal and mixer.rewinds):
        return
    ahead_BTD = inputs(s, batch=2, length=3, seed=4)
    with torch.no_grad():
        for start in (None, mixer.initial_state(2, max_length=20)):
            state = s.call(mixer, inputs(s, batch=2, length=9), start)[1]
            expected = s.call(mixer, ahead_BTD, map_state(torch.clone, state))[0]
            for length in (1, 5):
                state = s.call(mixer, inputs(s, batch=2, length=length, seed=8), state)[1]
            found = s.call(mixer, ahead_BTD, mixer.rewound(state, 6))[0]
            same("after rewinding", found, expected, s.tolerance)


def check_gradients(s: CheckedMixer) -> None:
    """Gradients equal finite differences in float64, for input and every parameter; in another
    dtype outputs, state and gradients stay near those that the slow truth has in float64."""
    _check_every_parameter_is_used(s)
    for algorithm in s.algorithms():
        if s.dtype == torch.float64:
            _check_finite_differences(s._replace(width=_small_width(s)), algorithm)
        else:
            _check_against_float64(s, algorithm)


def _check_every_parameter_is_used(s: CheckedMixer) -> None:
    mixer, x_BTD = s.build(), inputs(s, batch=2, length=23).requires_grad_()
    y_BTD, state = s.call(mixer, x_BTD)
    total = (y_BTD * weights(y_BTD)).sum() + sum(leaf.sum() for leaf in float_tensors(state))
    named = {name: p for name, p in mixer.named_parameters() if p.requires_grad}
    found = torch.autograd.grad(total, [x_BTD, *named.values()], allow_unused=True)
    unused = [name for name, gradient in zip(["the input", *named], found) if gradient is None]
    if unused:
        raise ContractError(f"nothing depends on {', '.join(unused)}: it has no gradient")


def _check_finite_differences(s: CheckedMixer, algorithm: str) -> None:
    mixer, x_BTD = s.build(algorithm), inputs(s, batch=1, length=4).requires_grad_()
    names = [name for name, p in mixer.named_parameters() if p.requires_grad]
    values = [p.detach().clone().requires_grad_() for p in mixer.parameters() if p.requires_grad]

    def outputs(x: Tensor, *parameters: Tensor) -> tuple[Tensor, ...]:
        y, state = torch.func.functional_call(mixer, dict(zip(names, parameters)), (x,))
        # a scalar of all outputs: finite differences then cost two calls a number
        total = (y * weights(y)).sum()
        for leaf in float_tensors(state):
            total = total + (leaf * weights(leaf)).sum()
        return (total,)

    if not torch.autograd.gradcheck(
        outputs,
        (x_BTD, *values),
        eps=1e-6,
        atol=1e-5,
        rtol=1e-3,
        nondet_tol=0.0 if s.device == "cpu" else 1e-10,  # a GPU adds in any order
        raise_exception=False,
    ):
        raise ContractError(f"gradients of {algorithm} differ from finite differences")


def _check_against_float64(s: CheckedMixer, algorithm: str) -> None:
    exact = s._replace(dtype=torch.float64)
    x_BTD = inputs(s, batch=2, length=40)
    mixer, truth = s.build(algorithm), copy.deepcopy(s.build(s.algorithms()[0])).double()
    found = run(s, mixer, x_BTD.clone().requires_grad_())
    expected = run(exact, truth, x_BTD.double().requires_grad_())
    same_runs(f"{algorithm} against float64", found, expected, s.tolerance)


def check_algorithms(s: CheckedMixer) -> None:
    """Each fast form equals the slow truth in output, final state and every gradient."""
    slow, *fast = s.algorithms()
    for length in LENGTHS if fast else ():
        for carried in (False, True):
            x_BTD = inputs(s, batch=2, length=length).requires_grad_()
            results = []
            for algorithm in (slow, *fast):
                mixer = s.build(algorithm)
                start = None
                if carried and mixer.causal:
                    with torch.no_grad():
                        start = s.call(mixer, inputs(s, batch=2, length=6, seed=9))[1]
                    start = map_state(_leaf, start)
                results.append(run(s, mixer, x_BTD, start))
            for algorithm, result in zip(fast, results[1:]):
                where = f"{algorithm} against {slow}, length {length}, state carried: {carried}"
                same_runs(where, result, results[0], s.tolerance)


def check_state_bytes(s: CheckedMixer) -> None:
    """Declared state bytes equal those measured, preallocated or not, at every length, in
    float32 (under autocast a cache of keys and values takes less)."""
    mixer = s.build(dtype=torch.float32)
    for length in (1, 5, 70):
        with torch.no_grad():
            for start in (None, mixer.initial_state(1, max_length=length)):
                if start is not None and not mixer.causal:
                    raise ContractError("not causal, but has an initial state")
                state = mixer(inputs(s, 1, length).float(), start)[1]
                measured, declared = measured_state_bytes(state), mixer.state_bytes(length)
                if measured != declared:
                    raise ContractError(
                        f"state after {length} positions: {measured} bytes, declared {declared}"
                    )


def check_saving(s: CheckedMixer) -> None:
    """Saving and loading, and torch.export, keep the numbers (of the parameters' own dtype)."""
    mixer, x_BTD = s.build(), inputs(s, batch=2, length=9)
    buffer = io.BytesIO()
    torch.save(mixer.state_dict(), buffer)
    buffer.seek(0)
    other = s.mixer_class(s.width, s.config).to(s.device, s.parameter_dtype).eval()
    other.load_state_dict(torch.load(buffer, weights_only=True))
    with torch.no_grad():
        expected = mixer(x_BTD)[0]
        same("after loading", other(x_BTD)[0], expected, tolerance=0.0)
        exported = torch.export.export(_OutputOnly(mixer), (x_BTD,), strict=False).module()
        same("exported", exported(x_BTD), expected, s.tolerance)


def check_costs(s: CheckedMixer) -> None:
    """Declared costs are sane: they grow with the length, and the reach is what is measured."""
    mixer = s.build()
    if mixer.unknown_costs:
        return
    for name, cost in (("flops", mixer.flops), ("serial_steps", mixer.serial_steps)):
        small, large = cost(16), cost(64)
        if not 0 < small <= large < math.inf or small % 1 or large % 1:
            raise ContractError(f"{name}(16) = {small} and {name}(64) = {large}")
    if not 1 <= mixer.path_length(1) <= mixer.path_length(100) <= 100:
        raise ContractError("path_length must lie between 1 and the distance, and not shrink")
    if not mixer.reach() >= 0:  # also catches NaN
        raise ContractError(f"reach() = {mixer.reach()}")
    length, middle = 40, 5
    x_BTD = inputs(s, batch=1, length=length).requires_grad_()
    gradient = torch.zeros(length)
    for t in range(middle, length):
        (g_BTD,) = torch.autograd.grad(s.call(mixer, x_BTD)[0][0, t].square().sum(), x_BTD)
        gradient[t] = g_BTD[0, middle].abs().sum()
    seen = (gradient > 0).nonzero().flatten()
    if len(seen) and int(seen.max()) - middle > mixer.reach():
        raise ContractError(f"sees {int(seen.max()) - middle} back, declared {mixer.reach()}")
    if mixer.reach() < length - middle - 1 and int(seen.max()) - middle < mixer.reach():
        raise ContractError(f"sees {int(seen.max()) - middle} back, declared {mixer.reach()}")
    if math.isinf(mixer.reach()) and float(gradient[middle + 1]) == 0.0:
        raise ContractError("declared to see everything, but not the previous position")


def _in_full_precision(check: Callable[[CheckedMixer], None]) -> Callable[[CheckedMixer], None]:
    """The check without cuDNN's shortened float32 products (TF32), which it takes by default."""

    @functools.wraps(check)
    def run_check(s: CheckedMixer) -> None:
        allowed = torch.backends.cudnn.allow_tf32
        torch.backends.cudnn.allow_tf32 = False
        try:
            check(s)
        finally:
            torch.backends.cudnn.allow_tf32 = allowed

    return run_check


CHECKS: dict[str, Callable[[CheckedMixer], None]] = {
    check.__name__.removeprefix("check_"): _in_full_precision(check)
    for check in (
        *(check_equation, check_causality, check_splitting, check_decoding, check_padding),
        check_rewinding,
        *(check_gradients, check_algorithms, check_state_bytes, check_saving, check_costs),
    )
}


class _OutputOnly(torch.nn.Module):
    def __init__(self, mixer: Mixer) -> None:
        super().__init__()
        self.mixer = mixer

    def forward(self, x_BTD: Tensor) -> Tensor:
        return self.mixer(x_BTD)[0]


def _leaf(tensor: Tensor) -> Tensor:
    tensor = tensor.detach().clone()
    return tensor.requires_grad_() if tensor.is_floating_point() else tensor


def _small_width(s: CheckedMixer) -> int:
    for width in (4, 6, 8, 16, 32):
        try:
            s.mixer_class(width, s.config)
        except UserError:
            continue
        return width
    return s.width
