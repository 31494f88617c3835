"""`seqarena report RUN --serve`: serves a folder's page to this machine only.

The page follows its folder: it is drawn again when a record has changed.

    GET  /       the page, from the current records
    GET  /state  {"digest": ...}, which changes when a record does
    POST /maps   {"text": ...} -> {"words": ..., "maps": [...]}: attention and information flow

The server listens on 127.0.0.1 only. It refuses a request under another host's name and a sentence
that is not JSON, so that a page of another site cannot use it.

Every request is bounded: in bytes, in the seconds that it takes to arrive, and in number.
Sentences are mapped one after the other, a few wait, and more are answered with status 503. The
work on a sentence ends after some seconds, or when its reader leaves. Nothing that the page needs
waits for a sentence.
"""

import json
import select
import socket
import sys
import time
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import BoundedSemaphore, Lock
from typing import Any

from seqarena.core.errors import UserError, in_words, one_line
from seqarena.engine.pages import LIVE_MEGABYTES, digest_of, kind_of, page_of
from seqarena.engine.trained import NO_CODE, OwnCode
from seqarena.serve.sentences import WorkEnded, typed_maps, what_is_wrong

HOST = "127.0.0.1"
_LONGEST_BODY = 4096  # bytes
_MOST_BLOCKS = 16  # of 65,536 bytes, that are taken of a body that is refused
_MOST_CONNECTIONS = 256  # that are answered at the same time
_MOST_SENTENCES = 4  # of which one is mapped and the others wait
_READING_SECONDS = 10.0  # for a whole request to arrive
_WRITING_SECONDS = 60.0
_SENTENCE_SECONDS = 30.0


class PageServer(ThreadingHTTPServer):
    """Serves one folder. The page is drawn once for each state of its records."""

    daemon_threads = True
    request_queue_size = 512

    def __init__(
        self,
        folder: Path,
        port: int = 0,
        code: OwnCode = NO_CODE,
        live_megabytes: float = LIVE_MEGABYTES,
    ) -> None:
        """`code` is what the folder's models may run of a user's own, to map a sentence;
        `live_megabytes` are the page's for models that run in it.

        Raises UserError for a folder without records, and for a port that is taken.
        """
        kind_of(folder)
        code.allow_named()
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            raise UserError(f"port {port} cannot be listened on: {error.strerror}") from error
        self.folder, self.code, self.live_megabytes = folder, code, live_megabytes
        self.arriving: dict[socket.socket, float] = {}  # the moment when it has to be there
        self._connections = BoundedSemaphore(_MOST_CONNECTIONS)
        self._sentences = BoundedSemaphore(_MOST_SENTENCES)
        self._mapping, self._drawing = Lock(), Lock()
        self._drawn = ("", b"")

    @property
    def address(self) -> str:
        return f"http://{HOST}:{self.server_port}/"

    def page(self) -> bytes:
        with self._drawing:
            digest = digest_of(self.folder)
            if self._drawn[0] != digest:
                page = page_of(self.folder, served=True, live_megabytes=self.live_megabytes)
                self._drawn = (digest, page.encode())
            return self._drawn[1]

    def maps(self, text: str, reader: socket.socket) -> dict[str, Any]:
        """The maps of a sentence. Raises WorkEnded when too many wait, it takes too long, or the
        reader has left."""
        if not self._sentences.acquire(blocking=False):
            raise WorkEnded("other sentences are being measured: try again in a moment")
        try:
            while not self._mapping.acquire(timeout=0.2):
                if _has_left(reader):
                    raise WorkEnded("the reader has left")
            try:
                return self._maps(text, reader)
            finally:
                self._mapping.release()
        finally:
            self._sentences.release()

    def _maps(self, text: str, reader: socket.socket) -> dict[str, Any]:
        deadline = time.monotonic() + _SENTENCE_SECONDS

        def why_end() -> str | None:
            if time.monotonic() > deadline:
                return f"measuring was ended after {_SENTENCE_SECONDS:g} seconds"
            return "the reader has left" if _has_left(reader) else None

        return typed_maps(self.folder, text, code=self.code, why_end=why_end)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._connections.acquire(blocking=False):
            super().process_request(request, client_address)
            return
        with suppress(OSError):
            request.sendall(b"HTTP/1.0 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
        self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._connections.release()

    def service_actions(self) -> None:
        """Twice a second: cuts off the requests that have not arrived in time."""
        for connection, deadline in list(self.arriving.items()):
            if time.monotonic() > deadline:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A reader that leaves is no error; anything else is one line."""
        error = sys.exception()
        if error is not None and not isinstance(error, OSError):
            print(f"seqarena: a request failed: {one_line(error)}", file=sys.stderr)


def _as_json(value: Any) -> bytes:
    """Raises ValueError for a number that JSON does not have: a browser would not read it."""
    return json.dumps(value, allow_nan=False).encode()


def _words(words: str) -> bytes:
    return _as_json({"words": words, "maps": []})


def _has_left(reader: socket.socket) -> bool:
    try:
        readable = select.select([reader], [], [], 0)[0]
        return bool(readable) and not reader.recv(1, socket.MSG_PEEK)
    except (OSError, ValueError):
        return True


class _Handler(BaseHTTPRequestHandler):
    server: PageServer  # pyright: ignore[reportIncompatibleVariableOverride]
    timeout = _READING_SECONDS  # of one read; `arriving` bounds them all together

    def setup(self) -> None:
        super().setup()
        self.server.arriving[self.connection] = time.monotonic() + _READING_SECONDS

    def finish(self) -> None:
        self.server.arriving.pop(self.connection, None)
        super().finish()

    def do_GET(self) -> None:
        if not self._from_here():
            return
        try:
            found = self._found()
        except Exception as error:  # such as records that another version wrote
            found = in_words(error).encode(), "text/plain", HTTPStatus.INTERNAL_SERVER_ERROR
        self._answer(*found)

    def _found(self) -> tuple[bytes, str, HTTPStatus]:
        if self.path == "/":
            return self.server.page(), "text/html", HTTPStatus.OK
        if self.path == "/state":
            state = _as_json({"digest": digest_of(self.server.folder)})
            return state, "application/json", HTTPStatus.OK
        return b"nothing here", "text/plain", HTTPStatus.NOT_FOUND

    def do_POST(self) -> None:
        if not self._from_here():
            return
        text = self._sentence()
        if text is None:
            return
        status = HTTPStatus.OK
        try:
            found = _as_json(self.server.maps(text, self.connection))
        except WorkEnded as ended:
            found, status = _words(f"{ended}."), HTTPStatus.SERVICE_UNAVAILABLE
        except Exception as error:
            found, status = _words(in_words(error)), HTTPStatus.INTERNAL_SERVER_ERROR
        self._answer(found, "application/json", status)

    def _sentence(self) -> str | None:
        """The sentence of a request. None: it has none, and was answered so."""
        size = self.headers.get("Content-Length", "")
        kind = self.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if self.path != "/maps" or kind != "application/json":
            return self._refuse("Only POST /maps with application/json is understood.")
        if not (size.isascii() and size.isdecimal()) or "Transfer-Encoding" in self.headers:
            return self._refuse("Content-Length has to be a number.", HTTPStatus.LENGTH_REQUIRED)
        if len(size) > 9 or int(size) > _LONGEST_BODY:
            return self._refuse(
                f"A request has at most {_LONGEST_BODY} bytes.",
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            )
        try:
            body = self.rfile.read(int(size))
            self.server.arriving.pop(self.connection, None)
            text = json.loads(body)["text"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return self._refuse('A request is JSON: {"text": "a sentence"}.')
        if not isinstance(text, str):
            return self._refuse('"text" has to be a sentence.')
        wrong = what_is_wrong(text)
        return text if wrong is None else self._refuse(wrong)

    def _from_here(self) -> bool:
        """Whether the request names this machine. Answers a request that does not."""
        own = {f"{name}:{self.server.server_port}" for name in (HOST, "localhost")}
        if self.headers.get("Host") in own:
            return True
        self._answer(b"another host", "text/plain", HTTPStatus.FORBIDDEN)
        return False

    def _refuse(self, words: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> None:
        """Answers, then takes a little of what is still being sent: closing a connection with
        unread bytes would reset it, and the answer with it."""
        self._answer(_words(words), "application/json", status)
        self.connection.shutdown(socket.SHUT_WR)
        self.connection.settimeout(0.5)
        deadline = time.monotonic() + 1.0
        for _ in range(_MOST_BLOCKS):
            if time.monotonic() > deadline or not self.connection.recv(65_536):
                break

    def _answer(self, body: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        self.server.arriving.pop(self.connection, None)
        self.connection.settimeout(_WRITING_SECONDS)
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet: the page asks every other second."""
