"""`seqarena report RUN --serve`: serves a folder's page to this machine only.

The page follows its folder: it is drawn again when a record has changed.

    GET  /       the page, from the current records
    GET  /state  {"digest": ...}, which changes when a record does
    POST /maps   {"text": ...} -> {"words": ..., "maps": [...]}: attention and information flow

The server listens on 127.0.0.1 only. It refuses a request under another host's name and a sentence
that is not JSON, so that a page of another site cannot use it.
"""

import json
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

from seqarena.core.errors import UserError
from seqarena.core.results.measurement import Map
from seqarena.engine.pages import digest_of, kind_of, maps_of, page_of
from seqarena.engine.trained import trained_models

HOST = "127.0.0.1"
_LONGEST_TEXT = 200  # characters: a map has a row for each of its tokens
_LONGEST_BODY = 4096  # bytes


class MappedModel(NamedTuple):
    """One model that maps a typed sentence. Without a checkpoint it has its initial weights."""

    architecture: str
    checkpoint: Path | None


class PageServer(ThreadingHTTPServer):
    """Serves one folder. The page is drawn once for each state of its records."""

    daemon_threads = True

    def __init__(self, folder: Path, port: int = 0) -> None:
        kind_of(folder)
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            raise UserError(f"port {port} cannot be listened on: {error.strerror}") from error
        self.folder = folder
        self._lock = Lock()
        self._drawn = ("", "")

    @property
    def address(self) -> str:
        return f"http://{HOST}:{self.server_port}/"

    def page(self) -> str:
        with self._lock:
            digest = digest_of(self.folder)
            if self._drawn[0] != digest:
                self._drawn = (digest, page_of(self.folder, served=True))
            return self._drawn[1]

    def maps(self, text: str) -> dict[str, Any]:
        with self._lock:
            return typed_maps(self.folder, text)


def typed_maps(folder: Path, text: str) -> dict[str, Any]:
    """The maps of one sentence by the folder's models, and sentences about what has no map."""
    from seqarena.measure.flow import maps as measuring
    from seqarena.report.measured.explorer import map_data

    if not text.strip() or len(text) > _LONGEST_TEXT:
        return {"words": f"Type a sentence of 1 to {_LONGEST_TEXT} characters.", "maps": []}
    found: list[Map] = []
    refused: list[str] = []
    for one in models_to_map(folder):
        for measure in (measuring.attention_maps, measuring.influence_maps):
            try:
                found += _measured(measure, one, text)
            except UserError as error:
                refused.append(f"{str(error).rstrip('.')}.")
    sentences = (
        [f"{len(found)} maps of “{text}”."] if found else ["Nothing here can map a sentence."]
    )
    return {"words": " ".join([*sentences, *refused]), "maps": [map_data(one) for one in found]}


def _measured(measure: Callable[..., list[Map]], one: MappedModel, text: str) -> list[Map]:
    if one.checkpoint is None:
        return measure(one.architecture, text=text, variant="initial weights")
    return measure(one.architecture, text=text, checkpoint=str(one.checkpoint))


def models_to_map(folder: Path) -> list[MappedModel]:
    """The trained models of a comparison.

    Without a comparison, the architectures of the folder's maps, with the checkpoints that exist.
    """
    if kind_of(folder) == "comparison":
        return [MappedModel(name, place) for name, place in trained_models(folder).items()]
    found = []
    for one in maps_of(folder):
        weights = str(one.settings.get("weights") or "initial")
        place = Path(weights) if weights != "initial" and Path(weights).exists() else None
        found.append(MappedModel(one.architecture, place))
    return list(dict.fromkeys(found))


class _Handler(BaseHTTPRequestHandler):
    server: PageServer  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_GET(self) -> None:
        if not self._from_here():
            return
        try:
            if self.path == "/":
                self._answer(self.server.page(), "text/html")
            elif self.path == "/state":
                self._answer(json.dumps({"digest": digest_of(self.server.folder)}))
            else:
                self._answer("nothing here", "text/plain", HTTPStatus.NOT_FOUND)
        except UserError as error:  # such as records that another version wrote
            self._answer(str(error), "text/plain", HTTPStatus.INTERNAL_SERVER_ERROR)

    def do_POST(self) -> None:
        if not self._from_here():
            return
        length = int(self.headers.get("Content-Length") or 0)
        kind = self.headers.get("Content-Type", "")
        if self.path != "/maps" or kind != "application/json" or length > _LONGEST_BODY:
            self._answer("not understood", "text/plain", HTTPStatus.BAD_REQUEST)
            return
        try:
            text = json.loads(self.rfile.read(length))["text"]
        except (ValueError, KeyError, TypeError):
            self._answer("not understood", "text/plain", HTTPStatus.BAD_REQUEST)
            return
        self._answer(json.dumps(self.server.maps(str(text))))

    def _from_here(self) -> bool:
        """Whether the request names this machine. Answers a request that does not."""
        own = {f"{name}:{self.server.server_port}" for name in (HOST, "localhost")}
        if self.headers.get("Host") in own:
            return True
        self._answer("another host", "text/plain", HTTPStatus.FORBIDDEN)
        return False

    def _answer(
        self, body: str, kind: str = "application/json", status: HTTPStatus = HTTPStatus.OK
    ) -> None:
        raw = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(raw)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet: the page asks every other second."""
