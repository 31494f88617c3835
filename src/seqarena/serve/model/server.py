"""A server of one trained model: opened, listening, answering, ended."""

import contextlib
import json
import logging
import shlex
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from seqarena.core.errors import UserError, missing_extra
from seqarena.core.runtime import resolve_device
from seqarena.core.words import plural
from seqarena.engine.trained import NO_CODE, OwnCode, TrainedModel, find_checkpoint
from seqarena.serve.model.request import ServeRequest
from seqarena.serve.model.runtimes import answer_by, open_runtime
from seqarena.tasks.registry import parse_task, task_row
from seqarena.train import checkpoint
from seqarena.use.generate import load_language_model
from seqarena.use.predict import Predictor

if TYPE_CHECKING:
    from seqarena.serve.model.app import ModelApp

_KEEP_ALIVE = 5  # seconds that a connection may be idle
_STOPPING = 2  # seconds that answers have to end in


class ModelServer:
    """Listens from when it is made; use it as a context manager.

    with ModelServer(ServeRequest(run="runs/NAME")) as server:
        server.serve()        until Ctrl-C
    """

    def __init__(self, request: ServeRequest, code: OwnCode = NO_CODE) -> None:
        """`code` is what the model may run of a user's own. Raises UserError for a place without a
        trained model, a task without answers, a port that is taken, and a missing package."""
        try:
            import prometheus_client  # noqa: F401
            import starlette  # noqa: F401
            import uvicorn
        except ImportError as error:
            raise missing_extra(error.name or "uvicorn", "serve", "serving") from None
        if request.run is None:
            raise UserError("name what to serve: a run folder, runs/NAME or runs/NAME:MODEL")
        self.request = request
        self._socket = _listening(request.host, request.port)
        try:
            self.app, self.about = _opened(request, code)
        except BaseException:
            self._socket.close()
            raise
        config = uvicorn.Config(
            self.app.asgi, log_config=None, log_level="error", access_log=False, lifespan="off",
            timeout_keep_alive=_KEEP_ALIVE, timeout_graceful_shutdown=_STOPPING,
            server_header=False, ws="none", loop="asyncio",
        )  # fmt: skip
        self._server = uvicorn.Server(config)

    def __enter__(self) -> "ModelServer":
        return self

    def __exit__(self, *details: object) -> None:
        self.close()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._socket.getsockname()[1])

    @property
    def address(self) -> str:
        """Of its routes: http://HOST:PORT."""
        host = self.request.host
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    def lines(self) -> list[str]:
        """What is said at the start: the model, the limits, and a request that works."""
        limits = self.request.limits
        token = " -H 'Authorization: Bearer '$SEQARENA_TOKEN" if self.request.token else ""
        return [
            f"serving {self.about} at {self.address} (Ctrl-C ends it)",
            f"{plural(limits.rows, 'text')} at once, {limits.queue:,} wait; prompts to "
            f"{limits.max_prompt:,} tokens, answers to {limits.max_tokens:,}; "
            f"{limits.max_body:,} bytes, {limits.seconds:g} seconds; {limits.kept:,} MB of states "
            "kept",
            f"curl {self._example()}{token}",
        ]

    def serve(self) -> None:
        """Answers until `stop`, or in the main thread until a signal."""
        logging.getLogger("asyncio").setLevel(logging.ERROR)  # it warns of readers that have left
        self._server.run([self._socket])

    def start(self) -> Callable[[], None]:
        """Answers in another thread; the function that is returned ends it."""
        thread = threading.Thread(target=self.serve, daemon=True)
        thread.start()

        def end() -> None:
            self.stop()
            thread.join()

        return end

    def stop(self) -> None:
        """Lets `serve` return."""
        self._server.should_exit = True

    def close(self) -> None:
        """Frees the port and ends the model's thread."""
        self._socket.close()
        self.app.close()

    def _example(self) -> str:
        from seqarena.serve.model.app import Writer

        place, backend = f"{self.address}{self.app.route}", self.app.backend
        kind = " -H 'Content-Type: application/json' -d "
        if isinstance(backend, Writer):
            return place + kind + """'{"max_tokens": 40, "seed": 0}'"""
        if backend.reads_files:
            form = backend.formats[0]
            kind = "-H 'Content-Type: application/octet-stream'"
            return f"'{place}?format={form}' {kind} --data-binary @FILE.{form}"
        return place + kind + shlex.quote(json.dumps({"input": backend.example}))


def _listening(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises UserError where it cannot."""
    found = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        if sys.platform != "win32":
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, port))
        found.listen(512)
    except OSError as error:
        found.close()
        raise UserError(f"{host}, port {port}, cannot be listened on: {error.strerror}") from error
    return found


def _opened(request: ServeRequest, code: OwnCode) -> "tuple[ModelApp, str]":
    from seqarena.engine.run import folder_and_model
    from seqarena.serve.model.answers import Answerer
    from seqarena.serve.model.app import About, ModelApp, Writer
    from seqarena.serve.model.engine import Engine
    from seqarena.serve.model.metrics import Metrics

    folder, model = folder_and_model(str(request.run))
    trained = TrainedModel(find_checkpoint(Path(folder), model), code)
    facts, metrics = checkpoint.load(trained.path).about, Metrics()
    name, task = str(facts["architecture"]), parse_task(facts["task"]).kind
    limits, device = request.limits, resolve_device(request.device).name
    if request.engine == "onnx" and device != "cpu":
        raise UserError(f"engine onnx computes on the CPU, not on {device}: give --device cpu")
    if task_row(task).codec is None:
        module, tokenizer, _ = load_language_model(trained.path)
        with _by_engine(name, request.engine):
            runtime = open_runtime(module, request.engine, device)
        engine = Engine(
            runtime, metrics, rows=limits.rows, queue=limits.queue, longest=limits.max_prompt,
            kept_bytes=limits.kept * 1_000_000,
        )  # fmt: skip
        backend: Writer | Answerer = Writer(engine, tokenizer)
        by = runtime.words
    else:
        predictor = Predictor(trained.path, beam_width=request.beam, device=device)
        with _by_engine(name, request.engine):
            by = answer_by(predictor, request.engine)
        backend = Answerer(predictor, metrics, queue=limits.queue)
    about = About(name, task, request.engine, by)
    metrics.engine.info({"engine": request.engine, "computes": by})
    return ModelApp(about, backend, request, metrics), f"{name}, task {task}, by {by},"


@contextlib.contextmanager
def _by_engine(name: str, engine: str) -> Iterator[None]:
    """Inside, a graph is made, which takes seconds; a refusal says of what and what serves it."""
    if engine == "torch":
        yield
        return
    if sys.stderr.isatty():
        print(f"making the ONNX graph of {name}, and comparing it with torch", file=sys.stderr)
    try:
        yield
    except UserError as error:
        raise UserError(f"{name} by engine onnx: {error}; --engine torch serves it") from error
