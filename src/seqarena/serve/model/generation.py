"""One text that is being written: its tokens so far, its words and what ends it."""

import secrets
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from seqarena.data.text.tokenizers import Tokenizer
from seqarena.data.text.writing.streaming import TextStream
from seqarena.use.sample import Sampling, next_token

_LEAST_LOG = -9999.0  # JSON has no infinity


class Scored(NamedTuple):
    """A token as the model sees it."""

    text: str  # bytes:\\xNN where it is no whole character
    offset: int  # of its first character in the text
    log_p: float | None  # None: nothing stands before it
    likeliest: dict[str, float]


class TextPiece(NamedTuple):
    """What became certain of a text since the last piece."""

    text: str
    scored: tuple[Scored, ...]


class WantedText(NamedTuple):
    """What is asked for, one text of it."""

    prompt: tuple[int, ...]
    count: int  # tokens at most
    sampling: Sampling
    seed: int | None = None  # None: another one each time
    stops: tuple[str, ...] = ()
    likeliest: int | None = None  # how many tokens are shown at each place; None: no scores
    echo: bool = False
    session: str | None = None
    start: tuple[int, ...] = ()  # what a new session without a prompt begins with


class Generation:
    """A request and how far it is. The model's thread writes it; any thread may cancel it."""

    def __init__(
        self, wanted: WantedText, tokenizer: Tokenizer, notify: Callable[[], None], *, eager: bool
    ) -> None:
        """`notify` is called in the model's thread: at the end by the engine, and where `eager`
        at each piece."""
        self.wanted = wanted
        self.cancelled = False
        self.finish: str | None = None  # "stop" or "length" once it has ended
        self.error: Exception | None = None
        self.pieces: deque[TextPiece] = deque()
        self.written: list[int] = []
        self.prompt: list[int] = list(wanted.prompt)  # with what a session had not read yet
        self.count = wanted.count  # tokens at most, as far as there is room
        self.read = 0  # of the prompt
        self.reused = 0  # of the prompt, whose state was kept
        self.session_tokens = 0  # before this request
        self.notify, self.eager = notify, eager
        self._tokenizer = tokenizer
        self._stream = TextStream(tokenizer, wanted.stops)
        self._echoed = TextStream(tokenizer)
        self._offset = 0  # of the written text
        self._held: deque[Scored] = deque()  # of tokens whose text is not given yet
        self._given = 0  # characters
        self._seed = secrets.randbits(63) if wanted.seed is None else wanted.seed
        self._generator: torch.Generator | None = None

    @property
    def ended(self) -> bool:
        return self.finish is not None or self.error is not None

    @property
    def unread(self) -> int:
        """Tokens of the prompt; the last one is read when the first is written."""
        return len(self.prompt) - self.read

    @property
    def scores_prompt(self) -> bool:
        return self.wanted.echo and self.wanted.likeliest is not None

    def begin(self) -> None:
        """Gives the prompt where it is wanted, with its first token's score."""
        if not self.wanted.echo:
            return
        text = ""
        for token in self.wanted.prompt:
            text += self._echoed.add(token)
        text += self._echoed.end()
        self._offset = len(text)
        if self.scores_prompt:
            self._echoed = TextStream(self._tokenizer)
            self._held.append(Scored(self._spelled(self.prompt[0]), 0, None, {}))
            self._echoed.add(self.prompt[0])
        self._give(text, final=False)

    def prompt_is_read(self) -> None:
        """Nothing but the prompt's last token is left to read."""
        if not self.count:
            self._close("length")

    def prompt_logits(self, logits_TV: Tensor, start: int) -> None:
        """The model's logits after the prompt's tokens from `start` on, in their order."""
        for step, logits_V in enumerate(logits_TV):
            place = start + step + 1
            if place < len(self.prompt):
                token = self.prompt[place]
                self._held.append(self._scored(token, logits_V, self._echoed.length))
                self._echoed.add(token)

    def draw(self, logits_1V: Tensor) -> int:
        """The next token: use/sample.py."""
        if self._generator is None:
            self._generator = torch.Generator(device=logits_1V.device).manual_seed(self._seed)
        return int(next_token(logits_1V, self.wanted.sampling, self._generator))

    def take(self, token: int, logits_V: Tensor) -> None:
        """The model has written this token, with these logits."""
        if self.wanted.likeliest is not None:
            self._held.append(self._scored(token, logits_V, self._offset + self._stream.length))
        self.written.append(token)
        text = self._stream.add(token)
        if self._stream.stopped:
            self._close("stop", text)
        elif len(self.written) >= self.count:
            self._close("length", text)
        elif text:
            self._give(text, final=False)

    def _close(self, finish: str, text: str = "") -> None:
        self._give(text + self._stream.end(), final=True)
        self.finish = finish

    def _give(self, text: str, *, final: bool) -> None:
        self._given += len(text)
        end = self._offset + self._stream.length if final else self._given
        ready = []
        while self._held and (self._held[0].offset < end or (final and not self._stream.stopped)):
            ready.append(self._held.popleft())
        if text or ready:
            self.pieces.append(TextPiece(text, tuple(ready)))
            if self.eager and not final:
                self.notify()

    def _scored(self, token: int, logits_V: Tensor, offset: int) -> Scored:
        log_p_V = logits_V.float().log_softmax(-1)
        assert self.wanted.likeliest is not None
        best = log_p_V.topk(min(self.wanted.likeliest, len(log_p_V)))
        shown = {
            self._spelled(other): max(value, _LEAST_LOG)
            for other, value in zip(best.indices.tolist(), best.values.tolist())
        }
        return Scored(self._spelled(token), offset, max(float(log_p_V[token]), _LEAST_LOG), shown)

    def _spelled(self, token: int) -> str:
        return spelled(self._tokenizer.bytes_of(token))


def spelled(found: bytes) -> str:
    """A token's bytes as text.

    >>> spelled(b"a"), spelled(b"\\xc3")
    ('a', 'bytes:\\\\xc3')
    """
    try:
        return found.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in found)
