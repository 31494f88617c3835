"""The contract suite: what every sequence mixer must fulfil, as checks that can fail.

The project's tests run it on each architecture of the catalog; `seqarena check FILE.py:CLASS` runs
it on a user's own. Numbers are compared in float64, where a right implementation agrees to about
1e-9 whatever its order of summation, so that a wrong one cannot hide behind rounding.
"""

import io
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from seqarena.core.errors import UserError
from seqarena.core.shapes import map_state, measured_state_bytes, state_tensors
from seqarena.mixers.base import Mixer, MixerConfig

LENGTHS = (1, 2, 63, 257)
# float64 has 2.2e-16 of rounding per operation; 257 dependent steps with gates and exponentials
# stay below 1e-11 in practice. 1e-8 leaves room for fast forms that sum in another order.
TOLERANCE = 1e-8


class ContractError(AssertionError):
    """A check of the contract failed; the message says what differed and by how much."""


class Subject(NamedTuple):
    """What is under test."""

    mixer_class: type[Mixer]
    config: MixerConfig
    width: int

    def build(self, algorithm: str | None = None, dtype: torch.dtype = torch.float64) -> Mixer:
        """A freshly initialised mixer (same numbers every time), in evaluation mode."""
        config = self.config
        if algorithm is not None:
            config = config.model_copy(update={"algorithm": algorithm})
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(7)
            mixer = self.mixer_class(self.width, config).to(dtype).eval()
            _stir(mixer)
        return mixer

    def algorithms(self) -> tuple[str, ...]:
        """Those that this configuration can be built with."""
        return tuple(name for name in self.mixer_class.algorithms if self._can_use(name))

    def _can_use(self, algorithm: str) -> bool:
        try:
            self.build(algorithm)
        except UserError:
            return False
        return True


def subject(mixer_class: type[Mixer], config: MixerConfig | None = None) -> Subject:
    """The subject at the first awkward width that the mixer accepts.

    Raises UserError when it accepts none.
    """
    config = config or mixer_class.Config()
    for width in (60, 20, 24, 32, 64):
        try:
            mixer_class(width, config)
        except UserError:
            continue
        return Subject(mixer_class, config, width)
    raise UserError(f"{mixer_class.__name__} accepts none of the widths 60, 20, 24, 32, 64")


def check_causality(s: Subject) -> None:
    """Changing the future changes nothing (causal), or changes something (bidirectional)."""
    mixer, x_BTD = s.build(), _input(s, batch=2, length=21)
    changed_BTD = x_BTD.clone()
    changed_BTD[:, 13:] = _input(s, batch=2, length=8, seed=5)
    with torch.no_grad():
        before, after = mixer(x_BTD)[0][:, :13], mixer(changed_BTD)[0][:, :13]
    if mixer.causal:
        _same("outputs before the change", after, before, tolerance=0.0)
    elif torch.equal(before, after):
        raise ContractError("declared not causal, but later positions never matter")


def check_splitting(s: Subject) -> None:
    """Splitting anywhere equals the whole: outputs, final state, and every gradient."""
    if not s.build().causal:
        return
    for cuts in ((1, 22), (7, 16), (22, 1), (5, 1, 1, 16)):
        mixer, x_BTD = s.build(), _input(s, batch=2, length=23).requires_grad_()
        whole = _run(mixer, x_BTD)
        state, pieces = None, []
        for piece_BTD in x_BTD.split(cuts, dim=1):
            y_BTD, state = mixer(piece_BTD, state)
            pieces.append(y_BTD)
        split = _gradients(mixer, x_BTD, torch.cat(pieces, dim=1), state)
        _same_runs(f"split {cuts} against the whole", split, whole)


def check_decoding(s: Subject) -> None:
    """One position at a time, from a preallocated state, equals all at once."""
    if not s.build().causal:
        return
    with torch.no_grad():
        for algorithm in s.algorithms():
            mixer, x_BTD = s.build(algorithm), _input(s, batch=2, length=40)
            whole_BTD, whole_state = mixer(x_BTD)
            state, steps = mixer.initial_state(2, max_length=40), []
            for x_B1D in x_BTD.split(1, dim=1):
                y_B1D, state = mixer(x_B1D, state)
                steps.append(y_B1D)
            _same(f"decoding ({algorithm})", torch.cat(steps, dim=1), whole_BTD)
            _same_states(f"state after decoding ({algorithm})", state, whole_state)


def check_padding(s: Subject) -> None:
    """Padding on the left, on the right and in between changes nothing, with a state carried on."""
    for algorithm in s.algorithms():
        mixer, length = s.build(algorithm), 17
        x_BTD, lead_BTD = _input(s, batch=4, length=length), _input(s, batch=4, length=5, seed=3)
        next_BTD = _input(s, batch=4, length=3, seed=11)
        mask_BT = torch.ones(4, length, dtype=torch.bool)
        mask_BT[0, 11:], mask_BT[1, :9], mask_BT[2, 4:8] = False, False, False
        with torch.no_grad():
            for lead in (False, True) if mixer.causal else (False,):
                start = mixer(lead_BTD)[1] if lead else None
                y_BTD, state = mixer(x_BTD, start, mask_BT=mask_BT)
                for b in range(4):
                    row = slice(b, b + 1)
                    alone = mixer(lead_BTD[row])[1] if lead else None
                    y_alone, state_alone = mixer(x_BTD[row][:, mask_BT[b]], alone)
                    where = f"{algorithm}, row {b}, {'with' if lead else 'without'} a state"
                    _same(f"padding, {where}", y_BTD[row][:, mask_BT[b]], y_alone)
                    if mixer.causal:
                        ahead = mixer(next_BTD[row], state_alone)[0]
                        if b == 0:
                            whole_ahead = mixer(next_BTD, state)[0]
                        _same(f"continuing after padding, {where}", whole_ahead[row], ahead)
                if bool(y_BTD[~mask_BT].abs().max() > 0):
                    raise ContractError("outputs at padding positions are not zero")


def check_gradients(s: Subject) -> None:
    """Analytic gradients equal finite differences in float64, for input and every parameter."""
    for algorithm in s.algorithms():
        small = s._replace(width=_small_width(s))
        mixer, x_BTD = small.build(algorithm), _input(small, batch=1, length=4).requires_grad_()
        names = [name for name, p in mixer.named_parameters() if p.requires_grad]
        values = [
            p.detach().clone().requires_grad_() for p in mixer.parameters() if p.requires_grad
        ]

        def outputs(x: Tensor, *parameters: Tensor, mixer=mixer, names=names) -> tuple[Tensor, ...]:
            y, state = torch.func.functional_call(mixer, dict(zip(names, parameters)), (x,))
            # a scalar of all outputs: finite differences then cost two calls a number
            total = (y * _weights(y)).sum()
            for leaf in _float_tensors(state):
                total = total + (leaf * _weights(leaf)).sum()
            return (total,)

        if not torch.autograd.gradcheck(
            outputs, (x_BTD, *values), eps=1e-6, atol=1e-5, rtol=1e-3, raise_exception=False
        ):
            raise ContractError(f"gradients of {algorithm} differ from finite differences")


def check_algorithms(s: Subject) -> None:
    """Each fast form equals the slow truth in output, final state and every gradient."""
    slow, *fast = s.algorithms()
    for length in LENGTHS if fast else ():
        for carried in (False, True):
            x_BTD = _input(s, batch=2, length=length).requires_grad_()
            results = []
            for algorithm in (slow, *fast):
                mixer = s.build(algorithm)
                start = None
                if carried and mixer.causal:
                    with torch.no_grad():
                        start = mixer(_input(s, batch=2, length=6, seed=9))[1]
                    start = map_state(_leaf, start)
                results.append(_run(mixer, x_BTD, start))
            for algorithm, result in zip(fast, results[1:]):
                where = f"{algorithm} against {slow}, length {length}, state carried: {carried}"
                _same_runs(where, result, results[0])


def check_state_bytes(s: Subject) -> None:
    """Declared state bytes equal those measured, preallocated or not, at every length."""
    mixer = s.build(dtype=torch.float32)
    for length in (1, 5, 70):
        with torch.no_grad():
            for start in (None, mixer.initial_state(1, max_length=length)):
                if start is not None and not mixer.causal:
                    raise ContractError("not causal, but has an initial state")
                state = mixer(_input(s, 1, length).float(), start)[1]
                measured, declared = measured_state_bytes(state), mixer.state_bytes(length)
                if measured != declared:
                    raise ContractError(
                        f"state after {length} positions: {measured} bytes, declared {declared}"
                    )


def check_saving(s: Subject) -> None:
    """Saving and loading, and torch.export, keep the numbers."""
    mixer, x_BTD = s.build(), _input(s, batch=2, length=9)
    buffer = io.BytesIO()
    torch.save(mixer.state_dict(), buffer)
    buffer.seek(0)
    other = s.mixer_class(s.width, s.config).to(torch.float64).eval()
    other.load_state_dict(torch.load(buffer, weights_only=True))
    with torch.no_grad():
        expected = mixer(x_BTD)[0]
        _same("after loading", other(x_BTD)[0], expected, tolerance=0.0)
        exported = torch.export.export(_OutputOnly(mixer), (x_BTD,), strict=False).module()
        _same("exported", exported(x_BTD), expected)


def check_costs(s: Subject) -> None:
    """Declared costs are sane: they grow with the length, and the reach is what is measured."""
    mixer = s.build()
    for name, cost in (("flops", mixer.flops), ("serial_steps", mixer.serial_steps)):
        small, large = cost(16), cost(64)
        if not 0 < small <= large:
            raise ContractError(f"{name}(16) = {small} and {name}(64) = {large}")
    if not 1 <= mixer.path_length(1) <= mixer.path_length(100) <= 100:
        raise ContractError("path_length must lie between 1 and the distance, and not shrink")
    length, middle = 40, 5
    x_BTD = _input(s, batch=1, length=length).requires_grad_()
    gradient = torch.zeros(length)
    for t in range(middle, length):
        (g_BTD,) = torch.autograd.grad(mixer(x_BTD)[0][0, t].square().sum(), x_BTD)
        gradient[t] = g_BTD[0, middle].abs().sum()
    seen = (gradient > 0).nonzero().flatten()
    if len(seen) and int(seen.max()) - middle > mixer.reach():
        raise ContractError(f"sees {int(seen.max()) - middle} back, declared {mixer.reach()}")
    if mixer.reach() < length - middle - 1 and int(seen.max()) - middle < mixer.reach():
        raise ContractError(f"sees {int(seen.max()) - middle} back, declared {mixer.reach()}")
    if math.isinf(mixer.reach()) and float(gradient[middle + 1]) == 0.0:
        raise ContractError("declared to see everything, but not the previous position")


CHECKS: dict[str, Callable[[Subject], None]] = {
    "causality": check_causality,
    "splitting": check_splitting,
    "decoding": check_decoding,
    "padding": check_padding,
    "gradients": check_gradients,
    "algorithms": check_algorithms,
    "state_bytes": check_state_bytes,
    "saving": check_saving,
    "costs": check_costs,
}


class _OutputOnly(torch.nn.Module):
    def __init__(self, mixer: Mixer) -> None:
        super().__init__()
        self.mixer = mixer

    def forward(self, x_BTD: Tensor) -> Tensor:
        return self.mixer(x_BTD)[0]


class _Run(NamedTuple):
    output: Tensor
    state: Any
    gradients: dict[str, Tensor]


def _run(mixer: Mixer, x_BTD: Tensor, start: Any = None) -> _Run:
    y_BTD, state = mixer(x_BTD, start)
    return _gradients(mixer, x_BTD, y_BTD, state, start)


def _gradients(mixer: Mixer, x_BTD: Tensor, y_BTD: Tensor, state: Any, start: Any = None) -> _Run:
    """Gradients of a fixed random weighting of the outputs and of the final state."""
    total = (y_BTD * _weights(y_BTD)).sum()
    for leaf in _float_tensors(state):
        if leaf.requires_grad:
            total = total + (leaf * _weights(leaf)).sum()
    wanted = {"input": x_BTD} | {n: p for n, p in mixer.named_parameters() if p.requires_grad}
    wanted |= {f"start {i}": leaf for i, leaf in enumerate(_float_tensors(start))}
    found = torch.autograd.grad(total, list(wanted.values()), allow_unused=True)
    gradients = {
        name: torch.zeros_like(wanted[name]) if g is None else g for name, g in zip(wanted, found)
    }
    return _Run(y_BTD.detach(), state, gradients)


def _same_runs(what: str, found: _Run, expected: _Run) -> None:
    _same(f"{what}: output", found.output, expected.output)
    _same_states(f"{what}: final state", found.state, expected.state)
    for name, gradient in expected.gradients.items():
        _same(f"{what}: gradient of {name}", found.gradients[name], gradient)


def _same_states(what: str, found: Any, expected: Any) -> None:
    pairs = list(zip(state_tensors(found), state_tensors(expected)))
    if len(state_tensors(found)) != len(state_tensors(expected)):
        raise ContractError(f"{what}: another number of tensors")
    for a, b in pairs:
        _same(what, a.detach(), b.detach())


def _same(what: str, found: Tensor, expected: Tensor, tolerance: float = TOLERANCE) -> None:
    if found.shape != expected.shape:
        raise ContractError(f"{what}: shape {tuple(found.shape)}, not {tuple(expected.shape)}")
    if not found.numel():
        return
    scale = max(1.0, float(expected.double().abs().max()))
    difference = float((found.double() - expected.double()).abs().max()) / scale
    if not difference <= tolerance:  # also catches NaN
        raise ContractError(f"{what}: differs by {difference:.2e} (allowed {tolerance:.0e})")


def _float_tensors(state: Any) -> list[Tensor]:
    return [leaf for leaf in state_tensors(state) if leaf.is_floating_point()]


def _leaf(tensor: Tensor) -> Tensor:
    tensor = tensor.detach().clone()
    return tensor.requires_grad_() if tensor.is_floating_point() else tensor


def _weights(like: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(like.numel())
    return torch.randn(like.shape, generator=generator, dtype=like.dtype)


def _input(s: Subject, batch: int, length: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed + 1000 * length)
    return torch.randn(batch, length, s.width, generator=generator, dtype=torch.float64)


def _small_width(s: Subject) -> int:
    for width in (4, 6, 8, 16, 32):
        try:
            s.mixer_class(width, s.config)
        except UserError:
            continue
        return width
    return s.width


def _stir(mixer: Mixer) -> None:
    """Adds noise to every parameter, so that zeros of an initialisation hide nothing."""
    with torch.no_grad():
        for parameter in mixer.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
