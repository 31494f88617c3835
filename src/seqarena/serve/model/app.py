"""The routes of a served model."""

import asyncio
import base64
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from seqarena.data.text.tokenizers import Tokenizer
from seqarena.serve.model.answers import Answerer, route_of
from seqarena.serve.model.bodies import CompletionBody, FileBody, TextBody
from seqarena.serve.model.completions import Completion
from seqarena.serve.model.engine import Engine
from seqarena.serve.model.guard import Guard
from seqarena.serve.model.http import (
    ApiError,
    as_api_error,
    error_answer,
    json_answer,
    media_type,
    read_body,
    read_bytes,
)
from seqarena.serve.model.metrics import Metrics
from seqarena.serve.model.openapi import document
from seqarena.serve.model.request import ServeRequest

Endpoint = Callable[[Request], Awaitable[Response]]


class Writer(NamedTuple):
    """What /v1/completions needs."""

    engine: Engine
    tokenizer: Tokenizer


class About(NamedTuple):
    """What is served, as /v1/models says it."""

    name: str
    task: str
    engine: str  # torch or onnx
    computes: str  # the same in words: onnxruntime 1.32.0, 1 thread


class ModelApp:
    """The application, and what it holds."""

    def __init__(
        self,
        about: About,
        backend: Writer | Answerer,
        request: ServeRequest,
        metrics: Metrics,
    ) -> None:
        self.about, self.metrics = about, metrics
        self.name, self.task = about.name, about.task
        self.limits = request.limits
        self.backend = backend
        self._created = int(time.time())
        self.route = "/v1/completions" if isinstance(backend, Writer) else route_of(self.task)
        work = self._complete if isinstance(backend, Writer) else self._answer
        self._document = document(self.route, backend)
        routes = [
            Route("/health", _guarded(self._health), methods=["GET"]),
            Route("/metrics", _guarded(self._metrics), methods=["GET"]),
            Route("/openapi.json", _guarded(self._openapi), methods=["GET"]),
            Route("/v1/models", _guarded(self._models), methods=["GET"]),
            Route("/v1/models/{name}", _guarded(self._model), methods=["GET"]),
            Route(self.route, _guarded(work), methods=["POST"]),
        ]
        self.paths = [route.path for route in routes]
        handlers: Any = {404: self._no_route, 405: _no_method}
        app = Starlette(routes=routes, exception_handlers=handlers)
        self.asgi = Guard(app, request, metrics, {*self.paths, "/v1/models/{name}"})

    def close(self) -> None:
        (self.backend.engine if isinstance(self.backend, Writer) else self.backend).close()

    async def _health(self, request: Request) -> Response:
        return json_answer({"status": "ok", "model": self.name, **self._served()})

    async def _metrics(self, request: Request) -> Response:
        return Response(self.metrics.text(), headers={"Content-Type": Metrics.content_type})

    async def _openapi(self, request: Request) -> Response:
        return json_answer(self._document)

    async def _models(self, request: Request) -> Response:
        return json_answer({"object": "list", "data": [self._about()]})

    async def _model(self, request: Request) -> Response:
        self._check_model(request.path_params["name"])
        return json_answer(self._about())

    def _about(self) -> dict[str, Any]:
        return {"id": self.name, "object": "model", "created": self._created,
                "owned_by": "seqarena", "route": self.route, **self._served()}  # fmt: skip

    def _served(self) -> dict[str, str]:
        about = self.about
        return {"task": about.task, "engine": about.engine, "computes": about.computes}

    def _check_model(self, name: str | None) -> None:
        if name not in (None, self.name):
            message = f"model {name[:80]!r} is not served here: {self.name} is"
            raise ApiError(404, message, code="model_not_found", param="model")

    async def _complete(self, request: Request) -> Response:
        assert isinstance(self.backend, Writer)
        body = await read_body(request, CompletionBody, self.limits.max_body)
        self._check_model(body.model)
        engine, tokenizer = self.backend
        completion = Completion(body, engine, tokenizer, self.limits, self.name)
        try:
            completion.submit()
        except BaseException:
            completion.leave()
            raise
        if body.stream:
            return EventStream(completion)
        try:
            async with _while_read(request):
                return json_answer(await completion.whole())
        finally:
            completion.leave()

    async def _answer(self, request: Request) -> Response:
        assert isinstance(self.backend, Answerer)
        body = await self._asked(request, self.backend.reads_files)
        self._check_model(body.model)
        try:
            async with asyncio.timeout(self.limits.seconds), _while_read(request):
                data = await self.backend.answer(body)
        except TimeoutError:
            seconds = f"{self.limits.seconds:g}"
            raise ApiError(503, f"ended after {seconds} seconds", code="timeout") from None
        return json_answer({"object": "list", "model": self.name, "task": self.task, "data": data})

    async def _asked(self, request: Request, files: bool) -> TextBody | FileBody:
        """The inputs: JSON, or a file as it is."""
        most = self.limits.max_body
        if not files:
            return await read_body(request, TextBody, most)
        if media_type(request) != "application/octet-stream":
            return await read_body(request, FileBody, most)
        content = base64.b64encode(await read_bytes(request, most)).decode()
        if not content:
            raise ApiError(400, "the file is empty", code="invalid_value", param="input")
        form = request.query_params.get("format", "")
        return FileBody(model=None, input=content, format=form, is_base64=True)

    async def _no_route(self, request: Request, error: Exception) -> Response:
        there = ", ".join(self.paths)
        message = f"no route {request.url.path[:80]}: this model of task {self.task} has {there}"
        return error_answer(ApiError(404, message, code="no_route"))


class EventStream(Response):
    """A completion as server-sent events; it is left when its reader has gone."""

    def __init__(self, completion: Completion) -> None:
        super().__init__(headers={"Cache-Control": "no-store"}, media_type="text/event-stream")
        del self.headers["content-length"]
        self._completion = completion

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            with contextlib.suppress(_ReaderLeftError):
                async with _while_read(request):
                    async for event in self._completion.events():
                        body = {"type": "http.response.body", "body": event, "more_body": True}
                        await send(body)
                await send({"type": "http.response.body", "body": b""})
        finally:
            self._completion.leave()


class _ReaderLeftError(Exception):
    """Whoever asked is gone."""


@contextlib.asynccontextmanager
async def _while_read(request: Request) -> AsyncIterator[None]:
    """Cancels what is inside when the reader has left, and raises _ReaderLeftError."""
    working = asyncio.current_task()
    assert working is not None
    left = False

    async def watch() -> None:
        nonlocal left
        while (await request.receive())["type"] != "http.disconnect":
            pass
        left = True
        working.cancel()

    watching = asyncio.create_task(watch())
    try:
        yield
    except asyncio.CancelledError:
        if not left:
            raise
        working.uncancel()
        raise _ReaderLeftError from None
    finally:
        watching.cancel()


def _guarded(endpoint: Endpoint) -> Endpoint:
    """With every error as an answer."""

    async def guarded(request: Request) -> Response:
        try:
            return await endpoint(request)
        except _ReaderLeftError:
            return Response(status_code=499)  # nobody reads it; it is counted
        except Exception as error:
            return error_answer(as_api_error(error))

    return guarded


async def _no_method(request: Request, error: Exception) -> Response:
    allowed = (getattr(error, "headers", None) or {}).get("Allow", "")
    message = f"{request.method} is not for {request.url.path[:80]}: use {allowed}"
    answer = error_answer(ApiError(405, message, code="no_method"))
    answer.headers["Allow"] = allowed
    return answer
