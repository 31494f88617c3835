"""Options of the command line, derived from the fields of a request (core/options.py)."""

import inspect
from collections.abc import Callable, Collection
from typing import Annotated, Any

import typer

from seqarena.core.config import Config
from seqarena.core.options import Flag, flags


def verb_of(
    request: type[Config],
    function: Callable[..., Any],
    *,
    name: str | None = None,
    argument: str | None = None,
    hidden: Collection[str] = (),
) -> Callable[..., Any]:
    """`function` with every field of `request` as an option after its own.

    It is called with its own parameters and `given`, the options that the user gave. `argument`
    names the field that is written without dashes; `hidden` fields have no option.
    """
    derived = [
        _parameter(flag, positional=flag.name == argument)
        for flag in flags(request).values()
        if flag.name not in hidden
    ]
    signature = inspect.signature(function)
    own = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for key, parameter in signature.parameters.items()
        if key != "given"
    ]

    def verb(**values: Any) -> Any:
        mine = {parameter.name: values.pop(parameter.name) for parameter in own}
        given = {key: value for key, value in values.items() if value not in (None, [])}
        return function(**mine, given=given)

    verb.__name__ = name or function.__name__
    verb.__doc__ = function.__doc__ or request.__doc__
    first = [parameter for parameter in derived if parameter.name == argument]
    rest = [parameter for parameter in derived if parameter.name != argument]
    verb.__dict__["__signature__"] = signature.replace(parameters=[*first, *rest, *own])
    return verb


def _parameter(flag: Flag, *, positional: bool) -> inspect.Parameter:
    """None stands for an option that was not given, so that defaults live in the request."""
    if positional:
        kind: Any = str | None
        info: Any = typer.Argument(help=flag.description, show_default=False)
    else:
        kind = (
            list[str] | None if flag.repeatable else bool | None if flag.is_switch else str | None
        )
        names = (f"{flag.option}/--no-{flag.option[2:]}",) if flag.is_switch else (flag.option,)
        info = typer.Option(*names, help=_help(flag), show_default=False, metavar=_metavar(flag))
    return inspect.Parameter(
        flag.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind, info]
    )


def _help(flag: Flag) -> str:
    default = flag.default
    if default is None or default == () or default == {} or "Default:" in flag.description:
        return flag.description
    if flag.is_switch:
        return f"{flag.description} [{'yes' if default else 'no'}]"
    if isinstance(default, tuple):
        default = ",".join(f"{x:g}" if isinstance(x, float) else str(x) for x in default)
    return (
        f"{flag.description} [{default:g}]"
        if isinstance(default, float)
        else (f"{flag.description} [{default}]")
    )


def _metavar(flag: Flag) -> str | None:
    if flag.is_switch:
        return None
    if flag.choices:
        return "|".join(flag.choices)
    words = str(flag.field.annotation)
    for kind, shown in (("dict", "KEY=VALUE"), ("tuple[int", "N,N,..."), ("tuple[float", "X,X,..."),
                        ("Path", "PATH"), ("int", "N"), ("float", "X")):  # fmt: skip
        if kind in words:
            return shown
    return "TEXT"
