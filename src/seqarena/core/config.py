"""Configuration is data: frozen, keyword-only, validated once, saved whole, hashed canonically."""

import hashlib
import importlib
import json
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from seqarena.core.errors import UserError


class Config(BaseModel):
    """Base of every configuration: immutable, and a field that does not exist is an error."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        validate_default=True,
        ser_json_inf_nan="strings",  # JSON has no infinity; these come back as they were
    )


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text on every machine."""
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def digest(value: Any, length: int = 16) -> str:
    """The first `length` hexadecimal digits of the SHA-256 of the value's canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:length]


Options = TypeVar("Options", bound=Config)


def parse_options(owner: str, kind: type[Options], fields: Mapping[str, Any]) -> Options:
    """The options of `owner`, a class's name. Raises UserError naming the first that is wrong."""
    try:
        return kind(**fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UserError(f"{owner} option {where!r}: {first['msg']}") from error


def load_object(place: str) -> Any:
    """What `package.module:Name` names."""
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)
