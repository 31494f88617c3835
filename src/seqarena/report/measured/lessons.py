"""Which lesson of the course tells of a system.

A page of the documentation's site has the lessons beside it and links to them. Any other page is
one file that may lie anywhere: it names the lesson and the command that opens it.
"""

from typing import NamedTuple


class Lesson(NamedTuple):
    """A lesson of docs/course; `name` is its file's, without the ending."""

    number: int
    name: str
    title: str


def _lesson(name: str, title: str) -> Lesson:
    return Lesson(int(name[:2]), name, title)


RECURRENCE = _lesson("01_recurrence", "Recurrence")
GRADIENTS = _lesson("02_gradients", "Gradients")
GATES = _lesson("03_gates", "Gates")
ATTENTION = _lesson("04_attention", "Attention")
CONVOLUTIONS = _lesson("05_convolutions", "Convolutions")
MEMORY = _lesson("06_memory", "Memory")
TRANSFORMER = _lesson("07_transformer", "The Transformer")
STATE_SPACES = _lesson("08_state_spaces", "State spaces")
EXPLORED = ATTENTION  # what the explorer of maps shows

OF_FAMILY = {
    "recurrent": GATES,
    "feed-forward": CONVOLUTIONS,
    "convolution": CONVOLUTIONS,
    "memory": MEMORY,
    "algorithmic": MEMORY,
    "attention": TRANSFORMER,
    "minimal recurrent": STATE_SPACES,
    "linear attention": STATE_SPACES,
    "delta rule": STATE_SPACES,
    "state space": STATE_SPACES,
    "hybrid": STATE_SPACES,
}
# systems whose story is not their family's
OF_SYSTEM = {
    "elman": RECURRENCE,
    "bi_elman": RECURRENCE,
    "irnn": GRADIENTS,
    "seq2seq_gru": ATTENTION,
    "seq2seq_lstm": ATTENTION,
    "rnnsearch": ATTENTION,
    "luong_dot": ATTENTION,
    "luong_general": ATTENTION,
    "luong_concat": ATTENTION,
    "attentive_reader": ATTENTION,
    "attention_flow": ATTENTION,
}


def lesson_of(system: str, family: str) -> Lesson | None:
    """The lesson that tells of a system of the catalog; None for a family that no lesson tells of,
    such as that of an architecture of the user's own."""
    return OF_SYSTEM.get(system, OF_FAMILY.get(family))
