"""What a user asks of `seqarena serve`, as data (core/options.py). No torch in here."""

from typing import Literal, Self

from pydantic import model_validator

from seqarena.core.config import Config
from seqarena.core.errors import UserError
from seqarena.core.options import Count, PathText, knob

LOOPBACK = ("127.0.0.1", "localhost", "::1")


class ServeLimits(Config):
    """What a server allows."""

    rows: int = knob(16, "Texts that are written together; more wait.", ge=1, le=1024)
    queue: int = knob(64, "Requests that wait; more are answered 429.", ge=1, le=10_000)
    max_prompt: Count = knob(4096, "Tokens of the longest prompt.")
    max_tokens: Count = knob(1024, "Tokens that a request may ask for.")
    max_body: Count = knob(1_000_000, "Bytes of the largest request: 1M.")
    seconds: float = knob(120.0, "Seconds after which a request is ended.", gt=0, le=86_400)
    kept: int = knob(
        64, "Megabytes of states that are kept, of prefixes and sessions; 0 keeps none.", ge=0,
        le=1_000_000,
    )  # fmt: skip


class ServeRequest(Config):
    """Which model is served, where, and within what limits."""

    run: PathText | None = knob(
        None, "A run folder, runs/NAME (its best model), runs/NAME:MODEL, or a checkpoint."
    )
    host: str = knob("127.0.0.1", "Where to listen; anything but this machine needs a token.")
    port: int = knob(8000, "0 takes a free one.", ge=0, le=65535)
    token: str | None = knob(
        None,
        "What clients send as Authorization: Bearer TOKEN. Default: SEQARENA_TOKEN of the "
        "environment, which other users of the machine cannot read.",
    )
    engine: Literal["torch", "onnx"] = knob(
        "torch",
        "What computes: torch, or on the CPU onnxruntime with the graph of `export --to onnx`.",
    )
    device: str = knob("cpu", "auto, cpu, cuda or cuda:N.")
    beam: int = knob(1, "Hypotheses kept, where answers are searched; 1 is greedy.", ge=1)
    limits: ServeLimits = ServeLimits()

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        if self.token is not None and not self.token.strip():
            raise UserError("the token is empty: give some letters, or leave --token out")
        if self.host not in LOOPBACK and self.token is None:
            raise UserError(
                f"host {self.host} can be reached from other machines: give --token TOKEN, or set "
                "SEQARENA_TOKEN"
            )
        return self
