"""What every request passes: whose it is, how large it says it is, and the counting.

Without a token the server answers this machine alone, and under its own names alone, so that the
page of another site cannot use it through a name that it has made to point here.
"""

import hmac
import time
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from seqarena.serve.model.http import ApiError, error_answer
from seqarena.serve.model.metrics import Metrics
from seqarena.serve.model.request import LOOPBACK, ServeRequest

_OPEN = "/health"  # asked by what watches processes, which has no token


class Guard:
    """ASGI middleware around the routes `paths`."""

    def __init__(
        self, app: ASGIApp, request: ServeRequest, metrics: Metrics, paths: set[str]
    ) -> None:
        self._app, self._metrics, self._paths = app, metrics, paths
        self._token = None if request.token is None else request.token.encode()
        self._most_bytes = request.limits.max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, start = 500, time.perf_counter()

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        headers = {name.lower(): value for name, value in scope["headers"]}
        refused = self._refused(scope["path"], headers)
        try:
            if refused is not None:
                await error_answer(refused)(scope, receive, counted)
            else:
                await self._app(scope, receive, counted)
        finally:
            route = scope["path"] if scope["path"] in self._paths else "other"
            self._metrics.requests.labels(route, str(status)).inc()
            self._metrics.seconds.labels(route).observe(time.perf_counter() - start)

    def _refused(self, path: str, headers: dict[bytes, bytes]) -> ApiError | None:
        if self._token is None:
            host = headers.get(b"host", b"").decode("latin-1")
            if _name_of(host) not in LOOPBACK:
                return ApiError(403, "this server answers its own machine alone", code="host")
        elif path != _OPEN:
            given = headers.get(b"authorization", b"").strip()
            kind, _, token = given.partition(b" ")
            same = hmac.compare_digest(token.strip(), self._token)
            if kind.lower() != b"bearer" or not same:
                message = "send the server's token as Authorization: Bearer TOKEN"
                return ApiError(401, message, code="invalid_api_key")
        size = headers.get(b"content-length", b"0")
        if size.isdigit() and (len(size) > 18 or int(size) > self._most_bytes):
            message = f"a request has at most {self._most_bytes:,} bytes"
            return ApiError(413, message, code="too_large")
        return None


def _name_of(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
