"""The OpenAPI document of a served model, from the fields of its bodies."""

from typing import TYPE_CHECKING, Any

from seqarena.core.version import __version__
from seqarena.serve.model.answers import Answerer
from seqarena.serve.model.bodies import schemas

if TYPE_CHECKING:
    from seqarena.serve.model.app import Writer

_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        }
    },
}
_USAGE = {
    "type": "object",
    "required": ["prompt_tokens", "completion_tokens", "total_tokens"],
}
_COMPLETION = {
    "type": "object",
    "required": ["id", "object", "created", "model", "choices", "usage"],
    "properties": {
        "object": {"const": "text_completion"},
        "choices": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["index", "text", "logprobs", "finish_reason"],
                "properties": {
                    "text": {"type": "string"},
                    "finish_reason": {"enum": ["stop", "length"]},
                },
            },
        },
        "usage": _USAGE,
    },
}
_ANSWERS = {
    "type": "object",
    "required": ["object", "model", "task", "data"],
    "properties": {
        "data": {"type": "array", "items": {"type": "object", "required": ["index"]}},
    },
}
_MODEL = {
    "type": "object",
    "required": ["id", "object", "created", "owned_by", "task", "route", "engine", "computes"],
}
_MODELS = {
    "type": "object",
    "required": ["object", "data"],
    "properties": {"data": {"type": "array", "items": _MODEL}},
}
_REFUSALS = {"400": "a field is wrong", "401": "no token", "403": "another host",
             "404": "another model", "408": "too slow", "409": "the session is at work",
             "413": "too large", "415": "no JSON", "429": "the queue is full",
             "503": "out of time, out of memory, or stopping"}  # fmt: skip


def document(route: str, backend: "Writer | Answerer") -> dict[str, Any]:
    """OpenAPI 3.1."""
    formats = backend.formats if isinstance(backend, Answerer) else ()
    writes = not isinstance(backend, Answerer)
    body = "CompletionBody" if writes else "FileBody" if formats else "TextBody"
    content = _json(_COMPLETION if writes else _ANSWERS)
    if writes:
        content["text/event-stream"] = {"schema": {}}  # OpenAPI 3.1 knows no schema of an event
    post: dict[str, Any] = {
        "operationId": route.rpartition("/")[2],
        "requestBody": {"required": True, "content": _json(_of(body))},
        "responses": _responses(content),
    }
    if formats:
        file = {"schema": {"type": "string", "format": "binary"}}
        post["requestBody"]["content"]["application/octet-stream"] = file
        form = {"type": "string", "enum": list(formats)}
        post["parameters"] = [{"name": "format", "in": "query", "schema": form}]
    name = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}
    text = {"text/plain": {"schema": {"type": "string"}}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "seqarena serve", "version": __version__},
        "paths": {
            "/health": {"get": _get("health", _json({"type": "object"}))},
            "/metrics": {"get": _get("metrics", text)},
            "/openapi.json": {"get": _get("openapi", _json({"type": "object"}))},
            "/v1/models": {"get": _get("models", _json(_MODELS))},
            "/v1/models/{name}": {"get": {**_get("model", _json(_MODEL)), "parameters": [name]}},
            route: {"post": post},
        },
        "components": {"schemas": {**schemas(), "Error": _ERROR},
                       "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "security": [{}, {"token": []}],
    }  # fmt: skip


def _get(name: str, content: dict[str, Any]) -> dict[str, Any]:
    return {"operationId": name, "responses": _responses(content)}


def _responses(content: dict[str, Any]) -> dict[str, Any]:
    errors = {
        status: {"description": words, "content": _json(_of("Error"))}
        for status, words in _REFUSALS.items()
    }
    return {"200": {"description": "done", "content": content}, **errors}


def _of(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}
