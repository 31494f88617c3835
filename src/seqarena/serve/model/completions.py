"""/v1/completions: from a request's fields to texts that the engine writes, and their answers."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from typing import Any

from seqarena.core.errors import UserError
from seqarena.data.text.tokenizers import Tokenizer
from seqarena.serve.model.bodies import CompletionBody
from seqarena.serve.model.engine import Engine
from seqarena.serve.model.generation import Generation, Scored, TextPiece, WantedText
from seqarena.serve.model.http import ApiError, as_api_error, as_json, error_body
from seqarena.serve.model.request import ServeLimits
from seqarena.use.generate import shortest_prompt
from seqarena.use.loading import check_text
from seqarena.use.sample import Sampling

_MOST_STOPS = 16
_LAST_SEED = 2**63 - 1


class Completion:
    """One request: its texts, from the queue to their end."""

    def __init__(
        self,
        body: CompletionBody,
        engine: Engine,
        tokenizer: Tokenizer,
        limits: ServeLimits,
        model: str,
    ) -> None:
        """Raises UserError and ApiError for what cannot be written within the limits."""
        self.body, self._engine, self._limits = body, engine, limits
        self._head = {"id": f"cmpl-{uuid.uuid4().hex}", "object": "text_completion",
                      "created": int(time.time()), "model": model}  # fmt: skip
        self._event = asyncio.Event()
        loop = asyncio.get_running_loop()

        def notify() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._event.set)

        self.texts = [
            Generation(wanted, tokenizer, notify, eager=bool(body.stream))
            for wanted in all_wanted(body, tokenizer, limits)
        ]
        self._ended_why: ApiError | None = None
        self._timer = loop.call_later(limits.seconds, self._time_is_up)

    def submit(self) -> None:
        """Raises NoPlaceError."""
        self._engine.submit(self.texts)

    def leave(self) -> None:
        """Nobody reads any more: no work is done from the next token on."""
        self._timer.cancel()
        self._engine.cancel(self.texts)

    async def whole(self) -> dict[str, Any]:
        """The answer. Raises ApiError."""
        while not all(text.ended for text in self.texts):
            await self._changed()
        choices = []
        for index, text in enumerate(self.texts):
            if text.error is not None:
                raise as_api_error(text.error)
            choices.append(self._choice(index, list(text.pieces), text.finish))
        return {**self._head, "choices": choices, "usage": self._usage(), **self._session()}

    async def events(self) -> AsyncIterator[bytes]:
        """The same as server-sent events. An error is the last one."""
        done: set[int] = set()
        try:
            while len(done) < len(self.texts):
                await self._changed()
                for index, text in enumerate(self.texts):
                    if index not in done:
                        ended = text.ended  # before its pieces are taken
                        pieces = [text.pieces.popleft() for _ in range(len(text.pieces))]
                        if text.error is not None:
                            raise text.error
                        if pieces or ended:
                            finish = text.finish if ended else None
                            choices = [self._choice(index, pieces, finish)]
                            last = self._session() if ended else {}
                            yield _event({**self._head, "choices": choices, **last})
                        if ended:
                            done.add(index)
        except Exception as error:
            yield _event(error_body(as_api_error(error)))
        else:
            options = self.body.stream_options
            if options is not None and options.include_usage:
                yield _event({**self._head, "choices": [], "usage": self._usage()})
        yield b"data: [DONE]\n\n"

    async def _changed(self) -> None:
        await self._event.wait()
        self._event.clear()
        if self._ended_why is not None:
            raise self._ended_why

    def _time_is_up(self) -> None:
        seconds = f"{self._limits.seconds:g}"
        self._ended_why = ApiError(503, f"ended after {seconds} seconds", code="timeout")
        self._event.set()

    def _choice(
        self, index: int, pieces: Sequence[TextPiece], finish: str | None
    ) -> dict[str, Any]:
        scored = [one for piece in pieces for one in piece.scored]
        wanted = self.body.logprobs is not None
        return {
            "index": index,
            "text": "".join(piece.text for piece in pieces),
            "logprobs": _logprobs(scored) if wanted else None,
            "finish_reason": finish,
        }

    def _usage(self) -> dict[str, Any]:
        several = self.body.n or 1
        read = sum(len(text.prompt) for text in self.texts[::several])
        written = sum(len(text.written) for text in self.texts)
        reused = sum(text.reused for text in self.texts[::several])
        return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written,
                "prompt_tokens_details": {"cached_tokens": reused}}  # fmt: skip

    def _session(self) -> dict[str, Any]:
        if self.body.session is None:
            return {}
        return {"session": {"id": self.body.session, "tokens_before": self.texts[0].session_tokens}}


def all_wanted(body: CompletionBody, tokenizer: Tokenizer, limits: ServeLimits) -> list[WantedText]:
    """Every text that is asked for: `n` of each prompt. Raises UserError and ApiError."""
    count = 16 if body.max_tokens is None else body.max_tokens
    if count > limits.max_tokens:
        raise ApiError(
            400, f"max_tokens {count:,}: this server writes {limits.max_tokens:,} at most",
            code="too_many_tokens", param="max_tokens",
        )  # fmt: skip
    if not count and not body.echo:
        raise ApiError(400, "max_tokens 0 is for echo, which scores a prompt", code="invalid_value",
                       param="max_tokens")  # fmt: skip
    stops = (body.stop,) if isinstance(body.stop, str) else tuple(body.stop or ())
    if len(stops) > _MOST_STOPS:
        raise ApiError(400, f"at most {_MOST_STOPS} stops", code="invalid_value", param="stop")
    prompts, n = _prompts(body, tokenizer, limits), body.n or 1
    if body.session is not None and (len(prompts) * n > 1 or body.echo):
        raise ApiError(400, "a session goes on with one text, without echo", code="invalid_value",
                       param="session")  # fmt: skip
    if len(prompts) * n > limits.queue:
        raise ApiError(400, f"{len(prompts) * n} texts: at most {limits.queue} at once",
                       code="too_many_texts", param="n")  # fmt: skip
    top_p = None if body.top_p in (None, 1) else body.top_p
    temperature = 1.0 if body.temperature is None else body.temperature
    sampling = Sampling(temperature=temperature, top_k=body.top_k, top_p=top_p)
    start = tuple(map(int, tokenizer.encode(shortest_prompt(tokenizer))))
    return [
        WantedText(
            tuple(prompt), count, sampling, _seed(body.seed, copy), stops, body.logprobs,
            bool(body.echo), body.session, start,
        )
        for prompt in prompts
        for copy in range(n)
    ]  # fmt: skip


def _seed(seed: int | None, copy: int) -> int | None:
    """The first of n texts is that of `seqarena generate` with this seed."""
    return None if seed is None else (seed + copy) % (_LAST_SEED + 1)


def _prompts(body: CompletionBody, tokenizer: Tokenizer, limits: ServeLimits) -> list[list[int]]:
    given: Any = body.prompt
    if given is None:
        given = "" if body.session is not None else shortest_prompt(tokenizer)
    single = isinstance(given, str) or (bool(given) and isinstance(given[0], int))
    prompts = []
    for one in [given] if single else given:
        tokens = _tokens(one, tokenizer, limits, body.session is not None)
        if len(tokens) > limits.max_prompt:
            raise _too_long(f"{len(tokens):,} tokens", limits)
        prompts.append(tokens)
    if not prompts:
        raise ApiError(400, "prompt: an empty list", code="invalid_value", param="prompt")
    return prompts


def _tokens(
    given: str | Sequence[int], tokenizer: Tokenizer, limits: ServeLimits, may_be_empty: bool
) -> list[int]:
    if isinstance(given, str):
        check_text(given, "the prompt")
        if not given and not may_be_empty:
            raise UserError("the prompt is empty: give at least one character")
        return [int(token) for token in tokenizer.encode(given)] if given else []
    beyond = [token for token in given if token >= tokenizer.vocab_size]
    if beyond:
        raise ApiError(
            400, f"token {beyond[0]}: the model knows 0 to {tokenizer.vocab_size - 1}",
            code="invalid_value", param="prompt",
        )  # fmt: skip
    return list(given)


def _too_long(words: str, limits: ServeLimits) -> ApiError:
    return ApiError(
        400, f"the prompt has {words}, and {limits.max_prompt:,} are the most here",
        code="context_length_exceeded", param="prompt",
    )  # fmt: skip


def _logprobs(scored: Sequence[Scored]) -> dict[str, Any]:
    return {
        "tokens": [one.text for one in scored],
        "token_logprobs": [one.log_p for one in scored],
        "top_logprobs": [one.likeliest if one.log_p is not None else None for one in scored],
        "text_offset": [one.offset for one in scored],
    }


def _event(value: Any) -> bytes:
    return b"data: " + as_json(value) + b"\n\n"
