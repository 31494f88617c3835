"""Examples of MAD's six tasks, as arrays. `task.py` has the table of settings.

    recall             k v k v .. k v                the key is asked for its value where it was
                                                     shown before; one key is asked at the end
    noisy_recall       the same; a pair is replaced by two noise tokens with probability `noise`
    fuzzy_recall       the same; keys and values are motifs of 1 to 3 different tokens (keys of 3
                       where it is scored), padding in front
    selective_copying  blanks, each ahead of one of the 16 symbols, then `copy`, then blanks
    compression        symbols, then `compress`
    memorization       k insert k insert ..          each key's value is the same in all examples

Keys are the lower half of the ordinary tokens, values the upper half; special tokens come last.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from seqarena.tasks.base import IGNORE
from seqarena.tasks.probes.configs import MADConfig

MOTIF = 3  # the longest key and the longest value of fuzzy recall
_MAP_SEED = 12345  # of the map that memorization asks for, as in the authors' code


class Examples(NamedTuple):
    """Inputs and what is asked, int64 [N, T] each."""

    inputs_NT: np.ndarray
    targets_NT: np.ndarray


def draw(
    config: MADConfig, generator: np.random.Generator, count: int, *, training: bool
) -> Examples:
    """So many examples of the configuration's skill."""
    return _SKILLS[config.skill](config, generator, count, training)


def _shifted(sequences: list[list[int]], asked: list[list[int]], training: bool) -> Examples:
    """Inputs, and one further the next token (training), or the asked ones alone."""
    tokens_NS, asked_NS = np.array(sequences), np.array(asked)
    return Examples(tokens_NS[:, :-1], (tokens_NS if training else asked_NS)[:, 1:])


def _recall(
    config: MADConfig, generator: np.random.Generator, count: int, training: bool
) -> Examples:
    noise_tokens = config.vocab_size // 2 if config.skill == "noisy_recall" else 0
    ordinary = config.vocab_size - noise_tokens
    half, pairs = ordinary // 2, config.length // 2
    keys_NP = generator.integers(half, size=(count, pairs))
    values_NK = generator.integers(half, ordinary, size=(count, half))
    is_noise_NP = np.zeros((count, pairs), dtype=bool)
    noise_NP2 = np.empty((count, pairs, 2), dtype=np.int64)
    if noise_tokens:
        noise_NP2 = generator.integers(ordinary, config.vocab_size, size=noise_NP2.shape)
        is_noise_NP = generator.random((count, pairs)) < config.noise
        kept_N = generator.integers(pairs - 1, size=count)  # one pair at least is shown
        is_noise_NP[np.arange(count), kept_N] = False
    is_noise_NP[:, -1] = False
    choice_N = generator.random(count)
    sequences, asked = [], []
    for row in range(count):
        shown: list[int] = []
        tokens, answers = [], []
        for place in range(pairs):
            if is_noise_NP[row, place]:
                tokens += noise_NP2[row, place].tolist()
                answers += [IGNORE, IGNORE]
                continue
            last = place == pairs - 1
            key = shown[int(choice_N[row] * len(shown))] if last else int(keys_NP[row, place])
            value = int(values_NK[row, key])
            tokens += [key, value]
            answers += [IGNORE, value if key in shown else IGNORE]
            if key not in shown:
                shown.append(key)
        sequences.append(tokens)
        asked.append(answers)
    return _shifted(sequences, asked, training)


def _fuzzy_recall(
    config: MADConfig, generator: np.random.Generator, count: int, training: bool
) -> Examples:
    drawn = [_fuzzy_sequence(config, generator, training) for _ in range(count)]
    return _shifted([tokens for tokens, _ in drawn], [answers for _, answers in drawn], training)


def _fuzzy_sequence(
    config: MADConfig, generator: np.random.Generator, training: bool
) -> tuple[list[int], list[int]]:
    """One sequence of length + 1 tokens, and what is asked at each."""
    padding = config.vocab_size - 1
    half, most = padding // 2, config.length // 2 + 2  # a pair takes two tokens at least

    def motifs(first: int, end: int, least: int) -> Iterator[tuple[int, ...]]:
        """So many of different tokens each."""
        order = generator.random((most, end - first)).argsort(axis=1)[:, :MOTIF] + first
        sizes = generator.integers(least, MOTIF + 1, size=most)
        return (tuple(row[:size]) for row, size in zip(order.tolist(), sizes.tolist()))

    keys = motifs(0, half, 1 if training else MOTIF)
    new_values = motifs(half, padding, 1)
    probe = next(keys)
    values = {probe: next(new_values)}
    last = [*probe, *values[probe]]
    room = config.length - len(last) - 2 * MOTIF
    at = int(generator.integers(room - 2 * MOTIF + 1))  # from where on the probe is shown
    shown: set[tuple[int, ...]] = set()
    tokens: list[int] = []
    answers: list[int] = []
    while len(tokens) < room:
        drawn = probe if len(tokens) >= at and probe not in shown else next(keys)
        values.setdefault(drawn, next(new_values))
        tokens += [*drawn, *values[drawn]]
        known = drawn in shown
        answers += [IGNORE] * len(drawn)
        answers += values[drawn] if known else [IGNORE] * len(values[drawn])
        shown.add(drawn)
    tokens += last
    answers += [IGNORE] * len(probe) + [*values[probe]]
    missing = config.length + 1 - len(tokens)
    return [padding] * missing + tokens, [IGNORE] * missing + answers


def _selective_copying(
    config: MADConfig, generator: np.random.Generator, count: int, training: bool
) -> Examples:
    copy, blank = config.vocab_size - 1, config.vocab_size - 2
    n = config.num_symbols
    symbols_Nn = generator.integers(blank, size=(count, n))
    blanks = config.length - 2 * n - 1
    # each blank stands ahead of one symbol, uniformly chosen
    before_NB = np.sort(generator.integers(n, size=(count, blanks)), axis=1)
    inputs_NT = np.full((count, config.length), blank)
    for row in range(count):
        ahead_n = np.searchsorted(before_NB[row], np.arange(n), side="right")
        inputs_NT[row, np.arange(n) + ahead_n] = symbols_Nn[row]
    inputs_NT[:, n + blanks] = copy
    targets_NT = np.full_like(inputs_NT, IGNORE)
    targets_NT[:, n + blanks + 1 :] = symbols_Nn
    return Examples(inputs_NT, targets_NT)


def _compression(
    config: MADConfig, generator: np.random.Generator, count: int, training: bool
) -> Examples:
    compress = config.vocab_size - 1
    inputs_NT = generator.integers(compress, size=(count, config.length))
    inputs_NT[:, -1] = compress
    return Examples(inputs_NT, inputs_NT.copy())


def _memorization(
    config: MADConfig, generator: np.random.Generator, count: int, training: bool
) -> Examples:
    insert = config.vocab_size - 1
    half = insert // 2
    value_of_K = half + np.random.default_rng(_MAP_SEED).permutation(insert - half)[:half]
    keys_NP = generator.integers(half, size=(count, config.length // 2))
    inputs_NT = np.full((count, config.length), insert)
    inputs_NT[:, 0::2] = keys_NP
    targets_NT = np.full_like(inputs_NT, IGNORE)
    targets_NT[:, 1::2] = value_of_K[keys_NP]
    return Examples(inputs_NT, targets_NT)


_SKILLS: dict[str, Callable[[MADConfig, np.random.Generator, int, bool], Examples]] = {
    "recall": _recall,
    "noisy_recall": _recall,
    "fuzzy_recall": _fuzzy_recall,
    "selective_copying": _selective_copying,
    "compression": _compression,
    "memorization": _memorization,
}
