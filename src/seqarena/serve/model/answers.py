"""Routes of every task but language: what `seqarena predict` answers, over HTTP.

One thread owns the model. Requests are answered one after the other, a few inputs at a time, and
one whose reader has left is dropped between them.
"""

import asyncio
import base64
import binascii
import copy
import re
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from seqarena.core.errors import UserError
from seqarena.serve.model.bodies import FileBody, TextBody
from seqarena.serve.model.engine import NoPlaceError
from seqarena.serve.model.http import ApiError
from seqarena.serve.model.metrics import Metrics
from seqarena.use.predict import Predictor

_AT_ONCE = 8  # inputs, after which a request may be dropped
_ROUTES = {
    "classification": "classify", "speech": "classify", "pixels": "classify", "windows": "classify",
    "tagging": "tag", "translation": "translate", "summarising": "summarise",
    "transcription": "transcribe", "forecasting": "forecast", "masked_language": "fill",
}  # fmt: skip
_SOUNDS = ("wav", "flac")
_PICTURES = ("png", "jpg", "jpeg", "bmp", "gif", "webp", "pgm", "ppm")
_TABLES = ("csv", "tsv", "json", "jsonl")
_FORMATS = {
    "speech": _SOUNDS, "transcription": _SOUNDS, "pixels": _PICTURES, "events": _TABLES,
    "forecasting": _TABLES, "windows": (*_TABLES, "ts"),
}  # fmt: skip


def route_of(task: str) -> str:
    """`/v1/...` of a task; /v1/answer where it has no name of its own."""
    return f"/v1/{_ROUTES.get(task, 'answer')}"


class Answerer:
    """A predictor and its queue."""

    def __init__(self, predictor: Predictor, metrics: Metrics, *, queue: int) -> None:
        self.task = predictor.config.kind
        self.reads_files = predictor.codec.takes_paths or bool(predictor.codec.table)
        if self.reads_files and self.task not in _FORMATS:
            raise UserError(f"a model of task {self.task} reads files of the user's own: use "
                            "seqarena predict")  # fmt: skip
        self.formats = _FORMATS.get(self.task, ())
        self._predictor, self._metrics, self._queue = predictor, metrics, queue
        quoted = re.search(r"'(.+)'", predictor.codec.prompt)
        self.example = quoted.group(1) if quoted else "a line of text"
        self._codec = predictor.codec
        self._pending = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")

    async def answer(self, body: TextBody | FileBody) -> list[dict[str, Any]]:
        """One entry an input. Raises ApiError, UserError where nothing can be answered, and
        NoPlaceError. A task that is cancelled stops the work."""
        if self._pending > self._queue:
            raise NoPlaceError("queue")
        gone = threading.Event()
        self._count(1)
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._thread, self._answer, body, gone)
        finally:
            gone.set()
            self._count(-1)

    def close(self) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _count(self, change: int) -> None:
        self._pending += change
        self._metrics.working.set(min(1, self._pending))
        self._metrics.waiting.set(max(0, self._pending - 1))

    def _answer(self, body: TextBody | FileBody, gone: threading.Event) -> list[dict[str, Any]]:
        found = []
        for entry in self._entries(body):
            found.append({"index": len(found), **entry})
            if gone.is_set():
                self._metrics.cancelled.inc()
                break
            self._metrics.answered.inc()
        errors = [entry["error"] for entry in found if entry.get("error")]
        if errors and len(errors) == len(found):
            raise UserError(errors[0])
        return found

    def _entries(self, body: TextBody | FileBody) -> Iterator[dict[str, Any]]:
        if isinstance(body, FileBody):
            yield from self._of_file(body)
            return
        items: Any = [body.input] if isinstance(body.input, str) else body.input
        if body.pretokenized:
            items = map(self._predictor.words, items)
        yield from self._attempts(items)

    def _of_file(self, body: FileBody) -> Iterator[dict[str, Any]]:
        """Of what a file holds, which lies in a folder of its own while it is read."""
        with tempfile.TemporaryDirectory(prefix="seqarena-") as folder:
            path = Path(folder, f"input.{body.format}")
            path.write_bytes(self._content(body))
            # a codec remembers the files that it has read: a fresh one for each request
            self._predictor.codec = copy.deepcopy(self._codec)
            try:
                for entry in self._of_path(path):
                    shown = str(entry.get("error", "")).replace(f"{folder}/", "")
                    yield {**entry, "error": shown} if shown else entry
            except UserError as error:
                raise UserError(str(error).replace(f"{folder}/", "")) from None

    def _of_path(self, path: Path) -> Iterator[dict[str, Any]]:
        if self._predictor.codec.table:
            names, *rows = self._predictor.rows([path])
            yield from (dict(zip(map(str, names), row)) for row in rows)
        elif path.suffix[1:] in (*_SOUNDS, *_PICTURES):
            yield from self._attempts([str(path)])
        else:
            yield from self._attempts(self._predictor.inputs(path))

    def _attempts(self, items: Any) -> Iterator[dict[str, Any]]:
        for item, outcome in self._predictor.attempts(items, _AT_ONCE):
            shown = {} if self.reads_files else {"input": item}
            if isinstance(outcome, UserError):
                yield {**shown, "answer": None, "confidence": None, "error": str(outcome)}
            else:
                text, confidence = outcome or ("", None)
                yield {**shown, "answer": text, "confidence": confidence}

    def _content(self, body: FileBody) -> bytes:
        if body.format not in self.formats:
            raise ApiError(
                400, f"format {body.format[:20]!r}: this model reads {', '.join(self.formats)}",
                code="invalid_value", param="format",
            )  # fmt: skip
        try:
            if body.format in (*_TABLES, "ts") and not body.is_base64:
                return body.input.encode()
            return base64.b64decode(body.input, validate=True)
        except (binascii.Error, ValueError) as error:
            what = "UTF-8" if isinstance(error, UnicodeError) else "base64"
            raise ApiError(400, f"input is not {what}", code="invalid_value",
                           param="input") from error  # fmt: skip
