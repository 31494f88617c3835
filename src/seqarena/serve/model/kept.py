"""States that are kept between requests: of prefixes that were read, and of sessions.

Both are entries of one store, bounded in bytes; the least recently used leave it first. The store
belongs to the thread of the model.
"""

import hashlib
from array import array
from collections import Counter, OrderedDict
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from seqarena.core.shapes import map_state, measured_state_bytes
from seqarena.models.states.rows import compact

_Key = tuple[str, int, str]  # what it is, tokens, digest or name


class SessionState(NamedTuple):
    """Where a session stopped."""

    state: Any  # after all but the last token
    last: int  # the token that is not read yet
    tokens: int  # all of them


class KeptStates:
    """The store. What it gives is a copy, which may be consumed."""

    def __init__(self, most_bytes: int) -> None:
        """`most_bytes` 0: it keeps nothing."""
        self.most_bytes = most_bytes
        self.bytes = 0
        self._entries: OrderedDict[_Key, tuple[Any, int]] = OrderedDict()
        self._lengths: Counter[int] = Counter()  # of the prefixes

    def keep_prefix(self, tokens: Sequence[int], state: Any) -> None:
        """The state of one row after these tokens."""
        if tokens and self.most_bytes:
            digest = _hashed(tokens).hexdigest()
            self._keep(("prefix", len(tokens), digest), compact(state))

    def longest_prefix(self, tokens: Sequence[int]) -> tuple[int, Any]:
        """How many of the first tokens are known, and the state after them; (0, None)."""
        found = None
        hashed, done = hashlib.sha256(), 0
        for length in sorted(length for length in self._lengths if length <= len(tokens)):
            hashed.update(_bytes(tokens[done:length]))
            done = length
            key = ("prefix", length, hashed.hexdigest())
            found = key if key in self._entries else found
        return (0, None) if found is None else (found[1], self._copy(found))

    def keep_session(self, name: str, session: SessionState) -> None:
        """Where the session now stands, in the place of where it stood."""
        self._keep(("session", 0, name), session._replace(state=compact(session.state)))

    def session(self, name: str) -> SessionState | None:
        """None: it is new, or had to leave."""
        key = ("session", 0, name)
        return self._copy(key) if key in self._entries else None

    def _keep(self, key: _Key, entry: Any) -> None:
        self._drop(key)
        size = measured_state_bytes(entry) + 512  # what holds the numbers takes room too
        if size > self.most_bytes:
            return
        while self.bytes + size > self.most_bytes:
            self._drop(next(iter(self._entries)))
        self._entries[key] = entry, size
        self.bytes += size
        if key[0] == "prefix":
            self._lengths[key[1]] += 1

    def _drop(self, key: _Key) -> None:
        found = self._entries.pop(key, None)
        if found is None:
            return
        self.bytes -= found[1]
        if key[0] == "prefix":
            self._lengths[key[1]] -= 1
            self._lengths += Counter()  # forgets lengths that none has

    def _copy(self, key: _Key) -> Any:
        self._entries.move_to_end(key)
        return map_state(torch.clone, self._entries[key][0])


def _hashed(tokens: Sequence[int]) -> Any:
    return hashlib.sha256(_bytes(tokens))


def _bytes(tokens: Sequence[int]) -> bytes:
    return array("q", tokens).tobytes()
