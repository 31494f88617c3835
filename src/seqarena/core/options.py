"""Nested configurations as flat options: a field is one flag, one recipe key, one Python keyword.

    class Size(Config):
        params: Count | None = knob(None, "Parameters of every model: 100k, 1M.")

    class Request(Config):
        size: Size = Size()

    build(Request, {"params": "100k"})        a Request with 100,000 parameters
    flags(Request)["params"].description      the help of `--params`

A flag is the field's name with dashes, unless the field names another. Flags are unique within a
request. A configuration that is `exclusive` takes one of its fields: giving one clears the others.
"""

import json
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, Union, get_args, get_origin

from pydantic import BeforeValidator, Field, ValidationError
from pydantic.fields import FieldInfo

from seqarena.core.config import Config
from seqarena.core.errors import UserError, unknown_name

NUMBERS_DEPEND_ON_THIS = False  # see jobs/sources.py
_LARGEST = 2**31 - 1
_MOST = 1e15  # of what is counted: no memory and no patience holds more
_SUFFIXES = {"k": 1e3, "m": 1e6, "b": 1e9, "g": 1e9, "t": 1e12}


def knob(
    default: Any,
    description: str,
    *,
    flag: str | None = None,
    option: str | None = None,
    finite: bool = True,
    **constraints: Any,
) -> Any:
    """A field with its help. `flag` is its name as a keyword and recipe key, where that is not the
    field's own; `option` its name on the command line, where that is not the flag's. `finite`: a
    field whose default is a float takes finite numbers only (not of fields that take texts too). A
    whole number with a lower bound is at most 2^31 - 1: arrays have no more places."""
    if isinstance(default, float) and finite:
        constraints["allow_inf_nan"] = False
    if isinstance(constraints.get("ge"), int) and not isinstance(default, float):
        constraints.setdefault("le", _LARGEST)
    extra: Any = {"flag": flag, "option": option}
    return Field(default, description=description, json_schema_extra=extra, **constraints)


def number(value: Any) -> Any:
    """`200k`, `1.5M`, `2e6` or `1_000` as a positive number; what is neither a text nor a number is
    returned as it is.

    Raises ValueError for what is not a positive number.
    """
    if isinstance(value, int | float) and not 0 < value < float("inf"):
        raise ValueError("must be positive")
    if not isinstance(value, str):
        return value
    digits, factor = value.strip().lower().replace("_", "").replace(",", ""), 1.0
    if digits and digits[-1] in _SUFFIXES:
        digits, factor = digits[:-1], _SUFFIXES[digits[-1]]
    try:
        found = float(digits) * factor
    except ValueError:
        raise ValueError("is not a number: write it as 200k, 1M or 2e6") from None
    if not 0 < found < float("inf"):
        raise ValueError("must be positive")
    return found


def whole(value: Any) -> Any:
    """The same, rounded to a whole number of at least one and at most 1e15."""
    found = number(value)
    if isinstance(found, int | float) and found > _MOST:
        raise ValueError(f"must be at most {_MOST:g}")
    return max(1, round(found)) if isinstance(found, float) else found


def names(value: Any) -> Any:
    """`lstm, gru` as a tuple of names."""
    if not isinstance(value, str):
        return value
    return tuple(part.strip() for part in value.split(",") if part.strip())


def settings(value: Any) -> Any:
    """`key=value` texts as a dictionary; values are JSON where they can be, else text."""
    found = texts_by_key(value)
    return found if isinstance(value, Mapping) else {k: _json(text) for k, text in found.items()}


def texts_by_key(value: Any) -> Any:
    """The same with every value as it was written, for `typed` to read."""
    if value is None or isinstance(value, Mapping):
        return value or {}
    found: dict[str, str] = {}
    for pair in value if isinstance(value, list | tuple) else [value]:
        key, equals, text = pair.partition("=") if isinstance(pair, str) else ("", "", "")
        if not equals:
            raise ValueError("write it as key=value")
        found[key.strip()] = text
    return found


def typed(kind: type[Config], fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields with texts read as `kind` declares them: of a text field they stay as they are
    (a column may be named 0), of any other they are JSON where they can be. `null` and `none`
    are nothing, where a field may be nothing."""
    return {
        name: _read(kind.model_fields[name].annotation, value)
        if isinstance(value, str) and name in kind.model_fields
        else value
        for name, value in fields.items()
    }


def _read(annotation: Any, text: str) -> Any:
    kinds = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    if type(None) in kinds and text.lower() in ("null", "none"):
        return None
    choices = [x for kind in kinds if get_origin(kind) is Literal for x in get_args(kind)]
    only_text = all(kind in (str, type(None)) or get_origin(kind) is Literal for kind in kinds)
    if only_text and all(isinstance(choice, str) for choice in choices):
        return text
    return _json(text)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        return text


def _each(parse: Any) -> Any:
    """One value, a list of them, or a text of them with commas between."""

    def read(value: Any) -> Any:
        several = names(value) if isinstance(value, str) else value
        several = several if isinstance(several, list | tuple) else (several,)
        return tuple(parse(one) for one in several)

    return read


def _listed(value: Any) -> Any:
    return (value,) if isinstance(value, str | Path) else value


Count = Annotated[int, BeforeValidator(whole)]  # 200k, 1M
Number = Annotated[float, BeforeValidator(number)]  # 1e15
Names = Annotated[tuple[str, ...], BeforeValidator(names)]  # lstm,gru
Counts = Annotated[tuple[int, ...], BeforeValidator(_each(whole))]  # 64,128
Numbers = Annotated[tuple[float, ...], BeforeValidator(_each(number))]  # 1e-3,3e-3
Texts = Annotated[tuple[str, ...], BeforeValidator(_listed)]  # an option that can be repeated
Settings = Annotated[dict[str, Any], BeforeValidator(settings)]  # the same, of key=value
TextsByKey = Annotated[dict[str, Any], BeforeValidator(texts_by_key)]  # to be read by `typed`
PathText = Annotated[str, BeforeValidator(lambda x: str(x) if isinstance(x, Path) else x)]


class Flag(NamedTuple):
    """One leaf of a nested configuration."""

    name: str  # as a keyword and recipe key; the command line writes dashes
    path: tuple[str, ...]  # of fields, from the request down to the leaf
    field: FieldInfo
    default: Any

    @property
    def description(self) -> str:
        return self.field.description or ""

    @property
    def option(self) -> str:
        """As on the command line."""
        return _option(self.field, self.name)

    @property
    def repeatable(self) -> bool:
        """Whether it collects several values, one an option."""
        return any(kind in _validators(self.field) for kind in (_listed, settings, texts_by_key))

    @property
    def is_switch(self) -> bool:
        return self.field.annotation is bool

    @property
    def takes_bool(self) -> bool:
        """Whether yes or no is a value; a number must not be read from it."""
        return "bool" in str(self.field.annotation) or self.field.annotation is Any

    @property
    def choices(self) -> tuple[str, ...]:
        """The names that it can have; none where it is free."""
        kind = self.field.annotation
        return get_args(kind) if get_origin(kind) is Literal else ()


Request = TypeVar("Request", bound=Config)


def flags(kind: type[Config]) -> dict[str, Flag]:
    """Every leaf of a configuration whose fields all have defaults, by its flag's name."""
    found: dict[str, Flag] = {}
    for flag in _leaves(kind(), ()):
        assert flag.name not in found, f"{kind.__name__} has two options named {flag.name}"
        found[flag.name] = flag
    return found


def build(kind: type[Request], given: Mapping[str, Any]) -> Request:
    """The configuration with these options. Values may be texts, as a person writes them.

    Raises UserError for an unknown option, with the nearest name, and for a bad value.
    """
    known = flags(kind)
    changes: dict[tuple[str, ...], Any] = {}
    for name, value in given.items():
        name = name.lstrip("-").replace("-", "_")
        if name not in known:
            raise unknown_name("option", name, known)
        if isinstance(value, bool) and not known[name].takes_bool:
            raise UserError(f"{known[name].option} {value}: is not a yes or no")
        changes[known[name].path] = value
    return _changed(kind(), changes, ())


def given_options(request: Config) -> dict[str, Any]:
    """The options that a request was built with, by name: the inverse of `build`."""
    return {
        flag.name: flag.default
        for flag in _leaves(request, ())
        if _is_set(request, flag.path) and flag.default is not None
    }


def command_line(verb: str, request: Config, positional: Iterable[str] = ()) -> str:
    """The command that makes this request, as a person would type it."""
    given, known = given_options(request), flags(type(request))
    words = ["seqarena", verb]
    words += [str(given.pop(name)) for name in positional if name in given]
    for name, value in given.items():
        option = known[name].option
        if isinstance(value, bool):
            words.append(option if value else f"--no-{option[2:]}")
        elif isinstance(value, dict):
            for key, inner in value.items():
                text = inner if isinstance(inner, str) else json.dumps(inner)
                words += [option, f"{key}={text}"]
        elif isinstance(value, tuple) and known[name].repeatable:
            for inner in value:
                words += [option, str(inner)]
        elif isinstance(value, tuple):
            words += [option, ",".join(_plain(inner) for inner in value)]
        else:
            words += [option, _plain(value)]
    return shlex.join(words)


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)


def _leaves(config: Config, path: tuple[str, ...]) -> Iterable[Flag]:
    for name, field in type(config).model_fields.items():
        value = getattr(config, name)
        if isinstance(value, Config):
            yield from _leaves(value, (*path, name))
        elif field.description is not None:  # without help it is no option
            yield Flag(_extra(field, "flag") or name, (*path, name), field, value)


def _is_set(config: Config, path: tuple[str, ...]) -> bool:
    name, *rest = path
    if name not in config.model_fields_set:
        return False
    return not rest or _is_set(getattr(config, name), tuple(rest))


def _changed(
    config: Request, changes: dict[tuple[str, ...], Any], path: tuple[str, ...]
) -> Request:
    """The configuration with the leaves below `path` that changed."""
    kind = type(config)
    new: dict[str, Any] = {}
    for name in kind.model_fields:
        place, value = (*path, name), getattr(config, name)
        below = {leaf: x for leaf, x in changes.items() if leaf[: len(place)] == place}
        if below:
            new[name] = below[place] if place in below else _changed(value, below, place)
    exclusive = bool(new) and getattr(kind, "exclusive", False)
    kept = {} if exclusive else {name: getattr(config, name) for name in kind.model_fields}
    try:
        changed = kind(**{**kept, **new})
    except ValidationError as error:
        raise _mistake(kind, error) from error
    given = set(new) if exclusive else config.model_fields_set | set(new)
    return _with_given(changed, given)


def preset(config: Request) -> Request:
    """The configuration as the default of a request: nobody has given its values."""
    return _with_given(config, set())


def _with_given(config: Request, names: set[str]) -> Request:
    object.__setattr__(config, "__pydantic_fields_set__", names)
    return config


def _mistake(kind: type[Config], error: ValidationError) -> UserError:
    """One line for the first value that is wrong."""
    first = error.errors()[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    field = kind.model_fields.get(name)
    flag = name if field is None else _extra(field, "flag") or name
    value, words = first["input"], first["msg"].removeprefix("Value error, ")
    if first["type"] == "literal_error" and field is not None:
        return unknown_name(flag.replace("_", " "), str(value), get_args(field.annotation))
    option = flag if field is None else _option(field, flag)
    return UserError(f"{option} {value!r}: {words[0].lower()}{words[1:]}")


def _extra(field: FieldInfo, key: str) -> str | None:
    extra = field.json_schema_extra
    return str(extra[key]) if isinstance(extra, dict) and extra.get(key) else None


def _option(field: FieldInfo, flag: str) -> str:
    return _extra(field, "option") or "--" + flag.replace("_", "-")


def _validators(field: FieldInfo) -> list[Any]:
    """The functions that read a field's value, of itself or of the union it may be."""
    found = [one.func for one in field.metadata if isinstance(one, BeforeValidator)]
    for inner in get_args(field.annotation):
        found += [x.func for x in get_args(inner)[1:] if isinstance(x, BeforeValidator)]
    return found
