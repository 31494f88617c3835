"""A sentence as a model reads it, and as people do: tokens, and the words that they make up.

A model at its start has no vocabulary, so that it is given the sentence's own words; a trained one
reads by the tokenizer in its checkpoint. Weights between pieces of words become weights between
words as Clark et al. 2019 have it ("What Does BERT Look At?", section 4.1): to a word, the sum over
its pieces; from a word, their mean.

    N  tokens read    R  answers (one for a label)
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import regex
import torch

from seqarena.core.batch import END, START, Batch, Problem
from seqarena.core.errors import UserError
from seqarena.measure.subject import Subject
from seqarena.models.model import Model
from seqarena.models.search import greedy
from seqarena.tasks.registry import load_codec, parse_task
from seqarena.tasks.text.language import stored_tokenizer
from seqarena.tasks.text.reading import split_units
from seqarena.train.checkpoint import load

_SENTENCE_END = regex.compile(r"\p{Sentence_Terminal}")
_SPECIAL = 4  # tokens before the first word: PAD, START, END, UNKNOWN


class WordPieces(NamedTuple):
    """One text: its words, and the word that each token is a piece of."""

    words: tuple[str, ...]
    word_of: tuple[int, ...]


class ReadSentence(NamedTuple):
    """One sentence in a batch. Of pairs, `read` is the source and `written` the target."""

    batch: Batch
    read: WordPieces
    written: WordPieces


def read_as_words(chosen: Subject, text: str, target: str | None) -> tuple[Subject, ReadSentence]:
    """For a model at its start: the subject with the sentence's vocabulary, and the sentence.
    `target` is what pairs write, the text itself where nothing is given."""
    words, written = _words(text), _words(text if target is None else target)
    vocabulary = sorted({word.lower() for word in (*words, *written)})
    numbers = {word: number for number, word in enumerate(vocabulary, start=_SPECIAL)}
    chosen = chosen._replace(vocab_size=_SPECIAL + len(vocabulary))
    problem = chosen.problem(max(len(words), len(written)))
    _refuse_numbers(chosen.row.name, problem)
    tokens_1N, written_1R = (
        torch.tensor([[numbers[word.lower()] for word in side]]) for side in (words, written)
    )
    if problem.form == "pairs":
        batch = _pair(tokens_1N, written_1R)
        return chosen, ReadSentence(batch, _whole(words), _whole(written))
    batch = Batch(tokens_1N, tokens_1N.roll(-1, 1))
    if problem.num_segments:
        batch = batch._replace(segments_BT=_sentences(words, problem.num_segments))
    if problem.form == "span" and not (batch.segments_BT == 1).any():  # one sentence: its half
        halves_1N = torch.arange(len(words))[None] >= (len(words) + 1) // 2
        batch = batch._replace(segments_BT=halves_1N.long())
    if problem.num_characters:
        batch = batch._replace(characters_BTC=_letters(words, problem.num_characters))
    return chosen, ReadSentence(batch, _whole(words), _answers(problem, _whole(words)))


def read_as_trained(chosen: Subject, model: Model, text: str) -> ReadSentence:
    """For a checkpoint: by its own tokenizer or codec. Of pairs, the target is what it writes."""
    assert chosen.checkpoint is not None
    problem = chosen.problem(1)
    _refuse_numbers(chosen.row.name, problem)
    about = load(chosen.checkpoint).about
    config, artifacts = parse_task(about["task"]), about["artifacts"]
    if config.kind in ("language", "masked_language"):
        return read_as_tokens(stored_tokenizer(artifacts), text)
    codec: Any = load_codec(config, artifacts)
    batch = codec.encode([text])
    if len(batch.inputs_BT) > 1:
        raise UserError("the text is read in several windows: give a shorter one")
    if problem.form != "pairs":
        words = codec.read_words(batch)
        read = _whole(words) if words else _labelled(text, batch.inputs_BT[0].tolist())
        return ReadSentence(batch, read, _answers(problem, read))
    with torch.no_grad():
        written = greedy(model, batch, codec.max_length)[0].tolist()
    written = written[: written.index(END) + 1] if END in written else written
    read = _whole(_spelled(codec.sides.source, batch.source_BS[0]))
    ended = written[-1] == END
    words = _spelled(codec.sides.target, written[:-1] if ended else written)
    words += ["end"] if ended else []
    pair = _pair(batch.source_BS, torch.tensor([written]))
    pair = pair._replace(source_mask_BS=batch.source_mask_BS)
    return ReadSentence(pair, read, _whole(words))


def _spelled(side: Any, tokens: Iterable[Any]) -> list[str]:
    """Each token by itself; a dot for one that is blank."""
    return [side.decode([token]).strip() or "·" for token in tokens]


def read_as_tokens(tokenizer: Any, text: str) -> ReadSentence:
    """For a language model: the tokens of a text, and the words between its blanks."""
    words = _words(text, blanks_alone=True)
    tokens_N = np.asarray(tokenizer.encode(text), dtype=np.int64)
    if len(tokens_N) < 1:
        raise UserError("the sentence has no token")
    # the number of the word that each byte belongs to; a blank goes with the word behind it
    word_of_byte: list[int] = []
    for number, part in enumerate(re.findall(r"\s*\S+", text)):
        word_of_byte += [number] * len(part.encode())
    word_of_byte += [len(words) - 1] * (len(text.encode()) - len(word_of_byte))
    ends_N = np.cumsum(tokenizer.bytes_per_token(tokens_N)) - 1
    side = WordPieces(tuple(words), tuple(word_of_byte[end] for end in ends_N))
    tokens_1N = torch.from_numpy(tokens_N)[None]
    return ReadSentence(Batch(tokens_1N, tokens_1N.roll(-1, 1)), side, side)


def by_words(weights_RN: np.ndarray, written: WordPieces, read: WordPieces) -> np.ndarray:
    """Weights between tokens to weights between words: columns are summed, rows averaged."""
    sums_RW = weights_RN @ np.eye(len(read.words))[list(read.word_of)]
    members_WR = np.eye(len(written.words))[list(written.word_of)].T
    counts_W1 = members_WR.sum(1, keepdims=True)
    return members_WR @ sums_RW / np.maximum(counts_W1, 1)


def _words(text: str, *, blanks_alone: bool = False) -> list[str]:
    words = text.split() if blanks_alone else list(split_units(text, "word", lowercase=False))
    if not words:
        raise UserError("the sentence has no word: give some text")
    return words


def _whole(words: Sequence[str]) -> WordPieces:
    return WordPieces(tuple(words), tuple(range(len(words))))


def _labelled(text: str, tokens: list[int]) -> WordPieces:
    """The sentence's words where each is one token, else the tokens' numbers."""
    words = _words(text)
    return _whole(words if len(words) == len(tokens) else [f"#{token}" for token in tokens])


def _answers(problem: Problem, read: WordPieces) -> WordPieces:
    if problem.form == "span":
        return _whole(["first word", "last word"])
    return read if problem.form == "tokens" else _whole(["the answer"])


def _pair(source_1S: torch.Tensor, target_1R: torch.Tensor) -> Batch:
    start_11 = torch.full_like(target_1R[:, :1], START)
    return Batch(torch.cat((start_11, target_1R[:, :-1]), 1), target_1R, source_BS=source_1S)


def _sentences(words: Sequence[str], most: int) -> torch.Tensor:
    """The number of each word's sentence, [1, N]; the last one takes what is too many."""
    ends = np.array([_SENTENCE_END.fullmatch(word) is not None for word in words])
    numbers_N = np.minimum(np.cumsum(ends) - ends, most - 1)
    return torch.from_numpy(numbers_N)[None]


def _letters(words: Sequence[str], most: int) -> torch.Tensor:
    """Letters as numbers from 1 on, 0 behind a word's last: [1, N, C]."""
    letters_1NC = torch.zeros(1, len(words), max(map(len, words)), dtype=torch.int64)
    for place, word in enumerate(words):
        for letter, sign in enumerate(word):
            letters_1NC[0, place, letter] = 1 + ord(sign) % (most - 1)
    return letters_1NC


def _refuse_numbers(name: str, problem: Problem) -> None:
    if problem.features:
        raise UserError(f"{name} reads numbers and not words: there is no sentence to map")
