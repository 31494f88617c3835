"""A mixer under test, and how two of its runs are compared: what the contract suite is made of."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from seqarena.core.errors import UserError
from seqarena.core.shapes import state_tensors
from seqarena.mixers.base import Mixer, MixerConfig
from seqarena.ops.registry import DEVICES

# The largest difference allowed, as a share of the largest number of a tensor (of one, where all
# are smaller). float64 has 2.2e-16 of rounding per operation; 257 dependent steps with gates and
# exponentials stay below 1e-11 in practice, and 1e-8 leaves room for fast forms that sum in another
# order. float32 has 6e-8; the mixers of the catalog stay below 1e-5. bfloat16 keeps 8 bits, 4e-3 a
# product: they stay below 0.05, and 0.15 where a kink (ReLU) turns rounding into another slope.
TOLERANCES = {torch.float64: 1e-8, torch.float32: 1e-4, torch.bfloat16: 0.2}


class ContractError(AssertionError):
    """A check of the contract failed; the message says what differed and by how much."""


class CheckedMixer(NamedTuple):
    """What is under test."""

    mixer_class: type[Mixer]
    config: MixerConfig
    width: int
    device: str = "cpu"
    dtype: torch.dtype = torch.float64

    @property
    def tolerance(self) -> float:
        """The largest difference allowed."""
        return TOLERANCES[self.dtype]

    @property
    def parameter_dtype(self) -> torch.dtype:
        """Parameters stay float32 under bfloat16 autocast."""
        return torch.float64 if self.dtype == torch.float64 else torch.float32

    def build(self, algorithm: str | None = None, dtype: torch.dtype | None = None) -> Mixer:
        """A freshly initialised mixer (same numbers every time), in evaluation mode."""
        config = self.config
        if algorithm is not None:
            config = config.model_copy(update={"algorithm": algorithm})
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(7)
            mixer = self.mixer_class(self.width, config).to(dtype or self.parameter_dtype).eval()
            stir(mixer)
        return mixer.to(self.device)

    def call(
        self, mixer: Mixer, x_BTD: Tensor, state: Any = None, mask_BT: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        """The mixer as training calls it in this dtype."""
        half = self.dtype == torch.bfloat16
        with torch.autocast(self.device.partition(":")[0], torch.bfloat16, enabled=half):
            return mixer(x_BTD, state, mask_BT=mask_BT)

    def algorithms(self) -> tuple[str, ...]:
        """Those that can run on this device in this dtype, the slow truth first."""
        operation = self.mixer_class.operation_of(self.config)
        return operation.available(self.device, self.parameter_dtype)


def subject(
    mixer_class: type[Mixer],
    config: MixerConfig | None = None,
    *,
    device: str = "cpu",
    dtype: torch.dtype = torch.float64,
) -> CheckedMixer:
    """The subject at the first awkward width that the mixer accepts.

    Raises UserError when it accepts none, and for a device that is not there or another dtype.
    """
    if dtype not in TOLERANCES:
        known = ", ".join(str(known).removeprefix("torch.") for known in TOLERANCES)
        raise UserError(f"the contract has no tolerance for {dtype}: use one of {known}")
    if device.partition(":")[0] not in DEVICES:
        raise UserError(f"device {device!r}: use {' or '.join(DEVICES)}")
    if device != "cpu" and not torch.cuda.is_available():
        raise UserError(f"device {device!r}: PyTorch finds no GPU here: use cpu")
    config = config or mixer_class.Config()
    why = UserError("no width was tried")
    for width in (60, 20, 24, 32, 64):
        try:
            mixer_class(width, config)
        except UserError as error:
            why = error
            continue
        return CheckedMixer(mixer_class, config, width, device, dtype)
    raise UserError(f"{mixer_class.__name__} accepts none of the widths 60, 20, 24, 32, 64: {why}")


def inputs(s: CheckedMixer, batch: int, length: int, seed: int = 0) -> Tensor:
    """Random inputs, the same for the same arguments."""
    generator = torch.Generator().manual_seed(seed + 1000 * length)
    x_BTD = torch.randn(batch, length, s.width, generator=generator, dtype=torch.float64)
    return x_BTD.to(s.device, s.parameter_dtype)


class MixerRun(NamedTuple):
    """What a mixer gave, and the gradient of each input, parameter and start state."""

    output: Tensor
    state: Any
    gradients: dict[str, Tensor]


def run(s: CheckedMixer, mixer: Mixer, x_BTD: Tensor, start: Any = None) -> MixerRun:
    """One call from `start`, and its gradients."""
    y_BTD, state = s.call(mixer, x_BTD, start)
    return finished_run(mixer, x_BTD, y_BTD, state, start)


def finished_run(
    mixer: Mixer, x_BTD: Tensor, y_BTD: Tensor, state: Any, start: Any = None
) -> MixerRun:
    """The run that gave these outputs and this state, with the gradients of a fixed random
    weighting of them."""
    total = (y_BTD * weights(y_BTD)).sum()
    for leaf in float_tensors(state):
        if leaf.requires_grad:
            total = total + (leaf * weights(leaf)).sum()
    wanted = {"input": x_BTD} | {n: p for n, p in mixer.named_parameters() if p.requires_grad}
    wanted |= {f"start {i}": leaf for i, leaf in enumerate(float_tensors(start))}
    found = torch.autograd.grad(total, list(wanted.values()), allow_unused=True)
    gradients = {
        name: torch.zeros_like(wanted[name]) if g is None else g for name, g in zip(wanted, found)
    }
    return MixerRun(y_BTD.detach(), state, gradients)


def same_runs(what: str, found: MixerRun, expected: MixerRun, tolerance: float) -> None:
    """Raises ContractError where outputs, final states or gradients differ."""
    same(f"{what}: output", found.output, expected.output, tolerance)
    same_states(f"{what}: final state", found.state, expected.state, tolerance)
    for name, gradient in expected.gradients.items():
        same(f"{what}: gradient of {name}", found.gradients[name], gradient, tolerance)


def same_states(what: str, found: Any, expected: Any, tolerance: float) -> None:
    """Raises ContractError where the tensors of two states differ."""
    pairs = list(zip(state_tensors(found), state_tensors(expected)))
    if len(state_tensors(found)) != len(state_tensors(expected)):
        raise ContractError(f"{what}: another number of tensors")
    for a, b in pairs:
        same(what, a.detach(), b.detach(), tolerance)


def same(what: str, found: Tensor, expected: Tensor, tolerance: float) -> None:
    """Raises ContractError where shapes or numbers differ."""
    if found.shape != expected.shape:
        raise ContractError(f"{what}: shape {tuple(found.shape)}, not {tuple(expected.shape)}")
    if not found.numel():
        return
    scale = max(1.0, float(expected.double().abs().max()))
    difference = float((found.double() - expected.double()).abs().max()) / scale
    if not difference <= tolerance:  # also catches NaN
        raise ContractError(f"{what}: differs by {difference:.2e} (allowed {tolerance:.0e})")


def float_tensors(state: Any) -> list[Tensor]:
    """The tensors of a state that can have gradients."""
    return [leaf for leaf in state_tensors(state) if leaf.is_floating_point()]


def weights(like: Tensor) -> Tensor:
    """Random numbers in the shape of a tensor, the same every time."""
    generator = torch.Generator().manual_seed(like.numel())
    return torch.randn(like.shape, generator=generator, dtype=torch.float64).to(like)


def stir(module: nn.Module) -> None:
    """Adds noise to every parameter, so that zeros of an initialisation hide nothing."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
