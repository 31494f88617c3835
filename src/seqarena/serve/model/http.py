"""Errors, bodies and answers as OpenAI's clients know them.

{"error": {"message": ..., "type": ..., "param": ..., "code": ...}}
"""

import asyncio
import json
import sys
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from seqarena.core.errors import UserError, is_out_of_memory, one_line
from seqarena.serve.model.engine import NoPlaceError

_READING_SECONDS = 15.0  # for a whole body to arrive
Body = TypeVar("Body", bound=BaseModel)


class ApiError(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, message: str, *, code: str, param: str | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.param = status, code, param


def as_json(value: Any) -> bytes:
    """Letters beyond ASCII are escaped: what a client sent may be no Unicode."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()


def json_answer(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(as_json(value), status, headers, media_type="application/json")


def error_body(error: ApiError) -> dict[str, Any]:
    kinds = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error"}
    kind = kinds.get(
        error.status, "server_error" if error.status > 499 else "invalid_request_error"
    )
    fields = {"message": str(error), "type": kind, "param": error.param, "code": error.code}
    return {"error": fields}


def error_answer(error: ApiError) -> Response:
    headers = {"Retry-After": "1"} if error.status in (429, 503) else {}
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return json_answer(error_body(error), error.status, headers)


def as_api_error(error: Exception) -> ApiError:
    """What a client is told. What is our own fault is one line on standard error as well."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, UserError):
        return ApiError(400, str(error), code="invalid_request")
    if isinstance(error, NoPlaceError):
        return _no_place(str(error))
    print(f"seqarena: a request failed: {one_line(error)}", file=sys.stderr, flush=True)
    if is_out_of_memory(error):
        return ApiError(503, "not enough memory: send less at once", code="out_of_memory")
    return ApiError(500, f"a fault of the server: {type(error).__name__}", code="fault")


def _no_place(what: str) -> ApiError:
    if what == "session":
        return ApiError(409, "this session is at work: wait for its answer", code="session_busy",
                        param="session")  # fmt: skip
    if what == "stopping":
        return ApiError(503, "the server is stopping", code="stopping")
    return ApiError(429, "the queue is full: try again in a moment", code="queue_full")


def media_type(request: Request) -> str:
    """What the request says that its body is."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def read_bytes(request: Request, most_bytes: int) -> bytes:
    """The body. Raises ApiError for one that is too large or too slow."""
    body = bytearray()
    try:
        async with asyncio.timeout(_READING_SECONDS):
            async for block in request.stream():
                body += block
                if len(body) > most_bytes:
                    message = f"a request has at most {most_bytes:,} bytes"
                    raise ApiError(413, message, code="too_large")
    except TimeoutError:
        raise ApiError(408, "the request did not arrive in time", code="too_slow") from None
    return bytes(body)


async def read_body(request: Request, kind: type[Body], most_bytes: int) -> Body:
    """The request's JSON. Raises ApiError as `read_bytes`, and for what is not as it should be,
    with the field."""
    if media_type(request) != "application/json":
        raise ApiError(415, "send JSON, with Content-Type: application/json", code="no_json")
    body = await read_bytes(request, most_bytes)
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False)
        first = max(found, key=lambda one: len(one["loc"]))  # of a choice the one that came closest
        names = [str(part) for part in first["loc"] if str(part) in kind.model_fields]
        if first["type"] == "extra_forbidden":
            unknown, known = str(first["loc"][0])[:80], ", ".join(kind.model_fields)
            message = f"unknown parameter {unknown!r}: this route knows {known}"
            raise ApiError(400, message, code="unknown_parameter", param=unknown) from error
        where = names[0] if names else None
        message = f"{where or 'the body'}: {first['msg']}"
        raise ApiError(400, message, code="invalid_value", param=where) from error
