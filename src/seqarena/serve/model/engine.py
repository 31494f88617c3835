"""Continuous batching: one thread owns the model, and requests join and leave at every token.

In a turn, those that are new start, from the longest prefix whose state is kept; what is unread of
prompts is read, so many tokens of all rows at once; and every row that has read its prompt is
written one token further, in one step of the model. A row that ends leaves its place to the next
that waits. Nothing is padded: the state says where each row stands (models/states/rows.py).

    B  rows    T  tokens    V  vocabulary
"""

import contextlib
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from seqarena.core.errors import UserError
from seqarena.models.states.rows import chosen
from seqarena.serve.model.generation import Generation
from seqarena.serve.model.kept import KeptStates, SessionState
from seqarena.serve.model.lanes import Lane, RowBatch
from seqarena.serve.model.metrics import Metrics
from seqarena.serve.model.runtimes import Runtime

BLOCK = 256  # tokens of a prompt, after which its state is kept
_MOST_READ = 512  # tokens of prompts that one turn reads, of all rows together


class NoPlaceError(Exception):
    """There is no place for a request: the queue is full, or its session is at work."""


class Engine:
    """The thread, its rows and its queue."""

    def __init__(
        self,
        runtime: Runtime,
        metrics: Metrics,
        *,
        rows: int,
        queue: int,
        longest: int,
        kept_bytes: int,
    ) -> None:
        """`rows` are written together at most, `queue` wait at most, states of `kept_bytes` are
        kept for later requests, and a session whose state grows has at most `longest` tokens."""
        self.runtime, self.metrics = runtime, metrics
        self.kept = KeptStates(kept_bytes)
        self._most_rows, self._most_waiting, self._longest = rows, queue, longest
        self._waiting: deque[Generation] = deque()
        self._sessions: set[str] = set()  # at work
        self._reading, self._writing = Lane(), Lane()
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="model", daemon=True)
        self._thread.start()

    def submit(self, generations: Sequence[Generation]) -> None:
        """Queues them all, or none. Raises NoPlaceError."""
        with self._changed:
            if len(self._waiting) + len(generations) > self._most_waiting or self._closing:
                raise NoPlaceError("queue")
            names = [g.wanted.session for g in generations if g.wanted.session is not None]
            if not self._sessions.isdisjoint(names):
                raise NoPlaceError("session")
            self._sessions.update(names)
            self._waiting.extend(generations)
            self.metrics.waiting.set(len(self._waiting))
            self._changed.notify()

    def cancel(self, generations: Sequence[Generation]) -> None:
        """Their reader has left: no turn works on them any more. What a session knew stays."""
        with self._changed:
            for generation in generations:
                if not generation.ended:
                    generation.cancelled = True
            self._changed.notify()

    def close(self) -> None:
        """Ends the thread; what is not finished fails."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not (self._closing or self._waiting or self._rows()):
                    self._changed.wait()
                if self._closing:
                    break
                fresh = self._admitted()
            with torch.inference_mode():
                self._turn(fresh)
        for row in (*self._waiting, *self._rows()):
            row.error = NoPlaceError("stopping")
            row.notify()

    def _rows(self) -> list[Generation]:
        return [row for lane in (self._reading, self._writing) for b in lane for row in b.rows]

    def _admitted(self) -> list[Generation]:
        """Takes from the queue what has a place; those that were cancelled leave it."""
        gone = [waiting for waiting in self._waiting if waiting.cancelled]
        for waiting in gone:
            self._waiting.remove(waiting)
            self._sessions.discard(waiting.wanted.session or "")
        self.metrics.cancelled.inc(len(gone))
        free = self._most_rows - self._reading.size - self._writing.size
        fresh = [self._waiting.popleft() for _ in range(min(free, len(self._waiting)))]
        self.metrics.waiting.set(len(self._waiting))
        return fresh

    def _turn(self, fresh: list[Generation]) -> None:
        for lane in (self._reading, self._writing):
            for batch in lane.remove(lambda row: row.cancelled):
                self.metrics.cancelled.inc(len(batch.rows))
                self._release(batch.rows)
        started: list[RowBatch] = []
        for row in fresh:
            with self._failing([row]):
                started.append(RowBatch(self._begun(row), [row]))
            if row.error is not None:
                self._release([row])
        self._reading.put(started)
        self._pass_on()
        for batch in self._reading:
            with self._failing(batch.rows):
                self._read(batch)
        self._pass_on()
        for batch in self._writing:
            with self._failing(batch.rows):
                self._write(batch)
        for batch in self._writing.remove(lambda row: row.ended):
            for place, row in enumerate(batch.rows):
                if row.error is None:
                    self._keep_end(row, batch, place)
            self._release(batch.rows)
        self.metrics.working.set(len(self._rows()))

    @contextlib.contextmanager
    def _failing(self, rows: Sequence[Generation]) -> Iterator[None]:
        """What goes wrong inside ends these rows, and no others."""
        try:
            yield
        except Exception as error:
            for row in rows:
                row.error = row.error or error

    def _release(self, rows: Sequence[Generation]) -> None:
        """They have left; who waits for them is told last, when their session is free again."""
        with self._changed:
            self._sessions.difference_update(row.wanted.session or "" for row in rows)
        for row in rows:
            row.notify()

    def _pass_on(self) -> None:
        """Rows whose prompt is read are written from now on."""
        for batch in self._reading:
            for row in batch.rows:
                if row.unread == 1 and not row.ended:
                    row.prompt_is_read()
        for batch in self._reading.remove(lambda row: row.ended):
            self._release(batch.rows)
        self._writing.put(self._reading.remove(lambda row: row.unread == 1))

    def _begun(self, row: Generation) -> Any:
        """The state that a row starts from. Raises UserError where its session has no room."""
        state, name = None, row.wanted.session
        if name is not None:
            session = self.kept.session(name)
            if session is not None:
                state, row.session_tokens = session.state, session.tokens
                row.prompt.insert(0, session.last)
        elif not row.scores_prompt:
            row.read, state = self.kept.longest_prefix(row.prompt[:-1])
            row.reused = row.read
            self.metrics.reused_tokens.inc(row.read)
            (self.metrics.prefix_hits if row.read else self.metrics.prefix_misses).inc()
        row.prompt = row.prompt or list(row.wanted.start)
        self._check_room(row)
        row.begin()
        if state is not None:
            return state
        return self.runtime.initial_state(1, row.unread + row.count)

    def _check_room(self, row: Generation) -> None:
        before = max(0, row.session_tokens - 1)  # positions; the last token is not read yet
        tokens = before + len(row.prompt)
        most = self.runtime.most_positions
        if not self.runtime.carries and tokens > self._longest:
            raise UserError(
                f"the session has {tokens:,} tokens, and {self._longest:,} are the most"
            )
        if most is None:
            return
        if tokens > most:
            raise UserError(f"{tokens:,} tokens, and the model has {most:,} positions: send fewer")
        row.count = min(row.count, most - tokens + 1)

    def _read(self, batch: RowBatch) -> None:
        """So many tokens of all rows that none reads beyond its prompt or a block's end."""
        ends = [min(row.unread - 1, BLOCK - row.read % BLOCK) for row in batch.rows]
        length = min(*ends, max(1, _MOST_READ // len(ends)))
        tokens = [row.prompt[row.read : row.read + length] for row in batch.rows]
        tokens_BT = torch.tensor(tokens)
        logits_BTV, batch.state = self.runtime.read(tokens_BT, batch.state)
        self.metrics.prompt_tokens.inc(tokens_BT.numel())
        for place, row in enumerate(batch.rows):
            if row.scores_prompt:
                row.prompt_logits(logits_BTV[place], row.read)
            row.read += length
            if row.wanted.session is None and (row.read % BLOCK == 0 or row.unread == 1):
                self._keep_prefix(row.prompt[: row.read], batch, place)

    def _write(self, batch: RowBatch) -> None:
        last = [row.written[-1] if row.written else row.prompt[-1] for row in batch.rows]
        logits_BV, batch.state = self.runtime.step(torch.tensor(last), batch.state)
        self.metrics.batch_rows.observe(len(last))
        self.metrics.written_tokens.inc(len(last))
        likeliest = logits_BV.argmax(dim=-1).tolist()
        finite = logits_BV.amax(dim=-1).isfinite().tolist()
        for place, row in enumerate(batch.rows):
            greedy = row.wanted.sampling.temperature == 0 and finite[place]
            try:
                token = likeliest[place] if greedy else row.draw(logits_BV[place : place + 1])
                row.take(token, logits_BV[place])
            except Exception as error:  # of this row alone
                row.error = error

    def _keep_end(self, row: Generation, batch: RowBatch, place: int) -> None:
        tokens = [*row.prompt, *row.written]
        if row.wanted.session is None:
            self._keep_prefix(tokens[:-1], batch, place)
            return
        state = _row(batch, place)
        total = max(0, row.session_tokens - 1) + len(tokens)
        self.kept.keep_session(row.wanted.session, SessionState(state, tokens[-1], total))

    def _keep_prefix(self, tokens: list[int], batch: RowBatch, place: int) -> None:
        if self.kept.most_bytes:
            self.kept.keep_prefix(tokens, _row(batch, place))
            self.metrics.kept_bytes.set(self.kept.bytes)


def _row(batch: RowBatch, place: int) -> Any:
    return batch.state if len(batch.rows) == 1 else chosen(batch.state, [place])
