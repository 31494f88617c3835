"""Generated passages with questions whose answers are parts of them.

A passage tells of four things that four people did, in an order of chance. Several people, things,
places and days stand in it, often two in one sentence, so that an answer depends on who or what the
question names and on the role it has there ("Who sold the old lamp?" and "Who bought it?" ask the
same sentence). No two events of a passage have the same person doing the same, or the same thing,
place or day twice, so that every question has one answer.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from seqarena.data.text.passages.squad import SpanAnswer, SpanQuestion

PEOPLE = (
    "Anna", "Boris", "Carla", "Diego", "Elena", "Farid", "Greta", "Hugo", "Irma", "Jonas", "Kira",
    "Lars", "Mira", "Nils", "Olga", "Pavel",
)  # fmt: skip
KINDS = ("old", "red", "small", "heavy", "broken", "golden", "wooden", "blue")
THINGS = ("lamp", "map", "violin", "clock", "kettle", "basket", "mirror", "ladder", "coat", "book")
SITES = ("quiet", "northern", "crowded", "ancient", "narrow", "distant")
PLACES = ("harbour", "library", "market", "station", "garden", "bridge", "museum", "valley")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
TIMES = ("morning", "afternoon", "evening")
_EVENTS = 4  # of a passage
_QUESTIONS = 3


class _Kind(NamedTuple):
    """A kind of event: its parts (a, b people, x, y things, p, q places, d a day), ways to tell it,
    and questions with the part that answers them. What is `mutual` both did."""

    parts: str
    told: tuple[str, ...]
    asked: tuple[tuple[str, str], ...]
    mutual: bool = False


_KINDS = (
    _Kind(
        "abxd",
        (
            "{a} bought {x} from {b} on {d}.",
            "On {d} {a} bought {x} from {b}.",
            "{b} sold {x} to {a} on {d}.",
            "On {d} {b} sold {x} to {a}.",
        ),
        (
            ("What did {a} buy?", "x"), ("Who bought {x}?", "a"), ("Who sold {x}?", "b"),
            ("When was {x} sold?", "d"), ("From whom did {a} buy {x}?", "b"),
            ("What did {b} sell?", "x"),
        ),
    ),
    _Kind(
        "abpd",
        (
            "{a} met {b} at {p} on {d}.",
            "On {d} {a} met {b} at {p}.",
            "At {p} {a} met {b} on {d}.",
        ),
        (
            ("Where did {a} meet {b}?", "p"), ("When did {a} meet {b}?", "d"),
            ("Whom did {a} meet?", "b"), ("Who met {b}?", "a"),
        ),
        mutual=True,
    ),
    _Kind(
        "apbq",
        (
            "{a} walked to {p} while {b} stayed at {q}.",
            "While {b} stayed at {q}, {a} walked to {p}.",
        ),
        (
            ("Where did {a} walk?", "p"), ("Where did {b} stay?", "q"), ("Who walked to {p}?", "a"),
            ("Who stayed at {q}?", "b"),
        ),
    ),
    _Kind(
        "axby",
        (
            "{a} lost {x} and {b} found {y}.",
            "{b} found {y}, but {a} lost {x}.",
        ),
        (
            ("What did {a} lose?", "x"), ("What did {b} find?", "y"), ("Who lost {x}?", "a"),
            ("Who found {y}?", "b"),
        ),
    ),
)  # fmt: skip
_SORTS = {"y": "x", "q": "p"}  # what a part is, where it is not named so


class _World:
    """What a passage has not used yet."""

    def __init__(self, draw: np.random.Generator) -> None:
        self._draw = draw
        self.people = self.some(PEOPLE, 4)
        self._left = {
            "x": self._pairs(KINDS, THINGS),
            "p": self._pairs(SITES, PLACES),
            "d": [f"{day} {self.one(TIMES)}" for day in self.some(DAYS, len(DAYS))],
        }
        self._did: set[tuple[str, str, str]] = set()

    def one(self, choices: Sequence[str]) -> str:
        return choices[int(self._draw.integers(len(choices)))]

    def some(self, choices: Sequence[str], count: int) -> list[str]:
        return [choices[int(k)] for k in self._draw.permutation(len(choices))[:count]]

    def _pairs(self, firsts: Sequence[str], seconds: Sequence[str]) -> list[str]:
        """Each second word once, each with a word before it."""
        return [f"the {self.one(firsts)} {second}" for second in self.some(seconds, len(seconds))]

    def event(self) -> tuple[_Kind, dict[str, str]]:
        """A kind of event, and who and what is in it. It is drawn again where one of the two did
        the same before."""
        while True:
            kind = _KINDS[int(self._draw.integers(len(_KINDS)))]
            given = dict(zip("ab", self.some(self.people, 2)))
            did = {(kind.told[0], "" if kind.mutual else role, who) for role, who in given.items()}
            sorts = [_SORTS.get(part, part) for part in kind.parts if part not in given]
            if did & self._did or any(len(self._left[s]) < sorts.count(s) for s in sorts):
                continue
            self._did |= did
            for part in kind.parts:
                if part not in given:
                    given[part] = self._left[_SORTS.get(part, part)].pop()
            return kind, given


def generate_passages(draw: np.random.Generator, num_passages: int) -> list[list[SpanQuestion]]:
    """Passages, each as its questions."""
    return [_passage(draw) for _ in range(num_passages)]


def _passage(draw: np.random.Generator) -> list[SpanQuestion]:
    world = _World(draw)
    events = [world.event() for _ in range(_EVENTS)]
    sentences: list[str] = []
    places: list[dict[str, SpanAnswer]] = []
    length = 0
    for kind, parts in events:
        sentence, found = _told(world.one(kind.told), parts, length)
        sentences.append(sentence)
        places.append(found)
        length += len(sentence) + 1
    context = " ".join(sentences)
    questions: list[SpanQuestion] = []
    for k in draw.permutation(_EVENTS)[:_QUESTIONS]:
        kind, parts = events[k]
        question, answer = kind.asked[int(draw.integers(len(kind.asked)))]
        answers = (places[k][answer],)
        questions.append(SpanQuestion(context, question.format(**parts), answers, "generated"))
    return questions


def _told(template: str, parts: dict[str, str], start: int) -> tuple[str, dict[str, SpanAnswer]]:
    """The sentence, which begins at character `start`, and where each part stands in it."""
    sentence, found = "", {}
    for piece in template.replace("}", "{").split("{"):
        if piece in parts:
            found[piece] = SpanAnswer(parts[piece], start + len(sentence))
        sentence += parts.get(piece, piece)
    return sentence, found
