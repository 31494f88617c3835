"""Operations and the algorithms that compute them.

An operation is one function of tensors. Its algorithms give the same numbers and differ in speed:

    @operation("linear_recurrence")
    def linear_recurrence(a_BTD, b_BTD, start_BD=None, *, algorithm="auto"):
        form = linear_recurrence.form(algorithm, b_BTD)        # prepares what all forms share
        return form(a_BTD, b_BTD, start_BD)

    @linear_recurrence.truth("loop", serial_steps=lambda length: length)        # in reference.py
    @linear_recurrence.algorithm("scan", devices=("cuda",), serial_steps=...)   # one file a form

`register_files` imports every file of an operation's folder, so that a new algorithm is one new
file. A file whose algorithm needs an optional package states `needs=` and puts what it defines
with that package behind `if installed("package"):`.

`auto` is the fastest algorithm measured for the device and the dtype (`measured.py`).
"""

import importlib
import importlib.util
import pkgutil
from collections.abc import Callable, Iterable
from typing import Any, Generic, NamedTuple, ParamSpec, TypeVar

import torch
from torch import Tensor

from seqarena.core.errors import UserError, unknown_name
from seqarena.ops.measured import WithPackage, faster_with_package, fastest

P = ParamSpec("P")
R = TypeVar("R")
Form = TypeVar("Form", bound=Callable[..., Any])

AUTO = "auto"
DEVICES = ("cpu", "cuda")
DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
# What forms in Triton have in common: a GPU, and float32 or smaller, since their state is float32.
TRITON: dict[str, Any] = {
    "devices": ("cuda",),
    "dtypes": (torch.float32, torch.bfloat16, torch.float16),
    "needs": "triton",
}
_REAL_PART = {torch.complex128: torch.float64, torch.complex64: torch.float32}


class Algorithm(NamedTuple):
    """One way to compute an operation, where it runs, and its longest chain of dependent steps."""

    name: str
    function: Callable[..., Any]
    devices: tuple[str, ...]  # (): every device
    dtypes: tuple[torch.dtype, ...]
    needs: str | None  # a package that may be missing
    installed: bool  # whether it is here
    serial_steps: Callable[..., int]

    def runs_on(self, device: str, dtype: torch.dtype) -> bool:
        """Whether it can run there, its package apart."""
        return (not self.devices or device in self.devices) and dtype in self.dtypes


class Operation(Generic[P, R]):
    """A function of tensors with an argument `algorithm`, and the table of its algorithms."""

    def __init__(self, name: str, call: Callable[P, R], default: str | None = None) -> None:
        """`default` is what `auto` means where nothing was measured (None: the slow truth)."""
        self.name = name
        self.__doc__ = call.__doc__
        self._call = call
        self._default = default
        self._algorithms: dict[str, Algorithm] = {}
        self._truth: str | None = None

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self._call(*args, **kwargs)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Operation[P, R]":
        return self  # one table, however often a module that refers to it is copied

    def truth(self, name: str, *, serial_steps: Callable[..., int]) -> Callable[[Form], Form]:
        """Registers the slow truth, which runs on every device in every dtype."""
        self._truth = name
        return self.algorithm(name, devices=(), serial_steps=serial_steps)

    def algorithm(
        self,
        name: str,
        *,
        devices: tuple[str, ...] = DEVICES,
        dtypes: tuple[torch.dtype, ...] = DTYPES,
        needs: str | None = None,
        serial_steps: Callable[..., int],
    ) -> Callable[[Form], Form]:
        """Registers a form. `serial_steps(length, **sizes)` counts its dependent steps."""

        def register(function: Form) -> Form:
            assert name != AUTO, f"{self.name}: an algorithm cannot be called {AUTO}"
            self._algorithms[name] = Algorithm(
                name, function, devices, dtypes, needs, installed(needs), serial_steps
            )
            return function

        return register

    @property
    def names(self) -> tuple[str, ...]:
        """All registered algorithms: the slow truth first, the others by name."""
        return tuple(sorted(self._algorithms, key=lambda name: (name != self._truth, name)))

    def available(self, device: str | torch.device, dtype: torch.dtype) -> tuple[str, ...]:
        """The algorithms that can run there now, the slow truth first."""
        place = device_type(device)
        return tuple(
            name
            for name in self.names
            if self._algorithms[name].installed and self._algorithms[name].runs_on(place, dtype)
        )

    def resolve(
        self, wanted: str, device: str | torch.device, dtype: torch.dtype, case: str = ""
    ) -> str:
        """The name that runs: `wanted` itself, or for `auto` the fastest measured there.

        `case` names a shape of the operation that was measured by itself. Raises UserError for a
        name that does not exist, cannot run there, or needs a package that is not installed.
        """
        place = device_type(device)
        if wanted == AUTO:
            known = fastest(self.name, case, place, dtype, self._is_installed)
            wanted = known or self._default or self.names[0]
        self.check(wanted)
        if not self._algorithms[wanted].runs_on(place, dtype):
            able = " or ".join((AUTO, *self.available(place, dtype)))
            kind = str(dtype).removeprefix("torch.")
            raise UserError(
                f"{self.name} by {wanted!r} does not run on {place} in {kind}: use {able}"
            )
        return wanted

    def _is_installed(self, name: str) -> bool:
        return name in self._algorithms and self._algorithms[name].installed

    def missing_package(self, device: str | torch.device, dtype: torch.dtype) -> WithPackage | None:
        """What a package that is not installed would make faster there; None where none would."""
        faster = faster_with_package(self.name, device_type(device), dtype)
        return None if faster is None or self._is_installed(faster.algorithm) else faster

    def check(self, wanted: str) -> None:
        """Raises UserError for a name that does not exist or whose package is missing."""
        if wanted == AUTO:
            return
        if wanted not in self._algorithms:
            raise unknown_name(f"algorithm of {self.name}", wanted, (AUTO, *self.names))
        if not self._algorithms[wanted].installed:
            needs = self._algorithms[wanted].needs
            raise UserError(f"{self.name} by {wanted!r} needs {needs}: pip install {needs}")

    def form(self, wanted: str, like: Tensor) -> Callable[..., Any]:
        """The function of the algorithm that runs on the device and dtype of `like` (of its real
        part, where it is complex)."""
        dtype = _REAL_PART.get(like.dtype, like.dtype)
        return self._algorithms[self.resolve(wanted, like.device, dtype)].function

    def serial_steps(self, name: str, length: int, **sizes: int) -> int:
        """The longest chain of dependent steps over `length` positions by that algorithm."""
        return self._algorithms[name].serial_steps(length, **sizes)


def operation(name: str) -> Callable[[Callable[P, R]], Operation[P, R]]:
    """Makes an operation of a function whose argument `algorithm` chooses the form."""
    return lambda call: Operation(name, call)


def named_forms(owner: str, names: tuple[str, ...]) -> Operation[..., Any]:
    """An operation that only lists names, for a class that computes its forms itself: the slow
    truth first, and `auto` is the last."""

    def not_callable(*_args: Any, **_kwargs: Any) -> Any:
        raise TypeError(f"{owner} computes its algorithms itself")

    listed = Operation(owner, not_callable, default=names[-1])
    listed.truth(names[0], serial_steps=not_callable)(not_callable)
    for name in names[1:]:
        listed.algorithm(name, devices=(), serial_steps=not_callable)(not_callable)
    return listed


def register_files(package: str, folder: Iterable[str]) -> None:
    """Imports every file of an operation's folder: each registers what it holds."""
    for module in pkgutil.iter_modules(folder):
        importlib.import_module(f"{package}.{module.name}")


def installed(package: str | None) -> bool:
    """Whether the package can be imported; True where none is needed."""
    return package is None or importlib.util.find_spec(package) is not None


def device_type(device: str | torch.device) -> str:
    """`cpu`, `cuda`, ...; the meta device, on which nothing is computed, counts as the CPU."""
    kind = torch.device(device).type
    return "cpu" if kind == "meta" else kind
