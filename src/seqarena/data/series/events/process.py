"""Events that need no download, exactly generated, of which the best possible forecast is known.

A customer is of one of three personas z, which is hidden. Given it, events follow a Markov renewal
process (Cinlar 1969): the next event depends on the last one, and so does the time to it,

    k' ~ P_z[k, k']        ln gap ~ N(m_zk, s_zk)        independent of each other

Each event shows two fields besides: a channel ~ C_z and an amount, ln amount ~ N(a_zk, 0.5). Times
are hours, and a gap is recorded in tenths.

What is left is to guess the persona. The probability of each given all that has been seen follows
from Bayes' rule, and from it the best forecast of the next event and, apart from it, of the time.

T  events    Z  personas    K  kinds of event
"""

from typing import NamedTuple

import numpy as np
from scipy.special import log_ndtr

from seqarena.data.series.events.history import History
from seqarena.data.streams import Stream, philox

KINDS = ("visit", "search", "basket", "buy", "return", "help")
CHANNELS = ("app", "shop", "web")
PERSONAS = ("browser", "hunter", "regular")
RESOLUTION = 0.1  # hours
_AMOUNT_SPREAD = 0.5
_SHORTEST, _LONGEST = 10, 40  # events of a customer
_SIZES = {"train": (Stream.TRAIN, 900), "validation": (Stream.VALIDATION, 150),
          "test": (Stream.TEST, 300)}  # fmt: skip
_LAW = 1 << 32  # the place of the law's own numbers in the stream of training


class _Law(NamedTuple):
    """The process itself."""

    first_K: np.ndarray
    next_ZKK: np.ndarray
    mean_ZK: np.ndarray  # of ln gap
    spread_ZK: np.ndarray
    channel_ZC: np.ndarray
    amount_ZK: np.ndarray  # mean of ln amount


def _law() -> _Law:
    draw = philox(0, Stream.TRAIN, _LAW)
    Z, K = len(PERSONAS), len(KINDS)
    common_KK, own_ZKK = (draw.dirichlet(np.full(K, 0.4), size=size) for size in (K, (Z, K)))
    return _Law(
        np.full(K, 1 / K),
        (common_KK + own_ZKK) / 2,
        draw.normal(0.0, 1.0, K) + draw.normal(0.0, 0.4, (Z, K)),
        draw.uniform(0.3, 0.8, (Z, K)),
        draw.dirichlet(np.full(len(CHANNELS), 10.0), size=Z),
        draw.normal(2.0, 0.5, K) + draw.normal(0.0, 0.2, (Z, K)),
    )


def customer_events() -> dict[str, list[History]]:
    """Every split, the same on every machine. The field `persona` is what is hidden."""
    law = _law()
    return {
        split: [
            _history(philox(0, stream, index), law, f"{split} {index}", index)
            for index in range(count)
        ]
        for split, (stream, count) in _SIZES.items()
    }


def best_nats(histories: list[History]) -> tuple[float, float]:
    """Nats an event of the best forecast of the next event and of the best one of its time, each
    by itself: the mean over every event but a history's first."""
    law = _law()
    sums, count = np.zeros(2), 0
    for history in histories:
        kinds_T, steps_T = _numbers(history)
        seen_TZ = _log_posterior(history, law)[:-1]
        following_TZ = np.log(law.next_ZKK[:, kinds_T[:-1], kinds_T[1:]].T)
        waited_TZ = _log_gaps(law, kinds_T[:-1], steps_T)
        for part, logs_TZ in enumerate((following_TZ, waited_TZ)):
            sums[part] -= np.logaddexp.reduce(seen_TZ + logs_TZ, axis=1).sum()
        count += len(steps_T)
    event, time = (sums / count).tolist()
    return event, time


def best_persona_accuracy(histories: list[History]) -> float:
    """The share of histories whose most probable persona is theirs."""
    law = _law()
    found = [PERSONAS[_log_posterior(history, law)[-1].argmax()] for history in histories]
    return float(np.mean([p == h.fields["persona"][0] for p, h in zip(found, histories)]))


def _log_posterior(history: History, law: _Law) -> np.ndarray:
    """ln p(persona | events up to this one, and their fields), [T, Z]."""
    kinds_T, steps_T = _numbers(history)
    channels_T = np.array([CHANNELS.index(str(name)) for name in history.fields["channel"]])
    amounts_T = np.log([float(str(value)) for value in history.fields["amount"]])
    logs_TZ = np.log(law.channel_ZC[:, channels_T].T)
    logs_TZ -= np.square((amounts_T[:, None] - law.amount_ZK[:, kinds_T].T) / _AMOUNT_SPREAD) / 2
    logs_TZ[1:] += np.log(law.next_ZKK[:, kinds_T[:-1], kinds_T[1:]].T)
    logs_TZ[1:] += _log_gaps(law, kinds_T[:-1], steps_T)
    logs_TZ = np.cumsum(logs_TZ, axis=0)
    return logs_TZ - np.logaddexp.reduce(logs_TZ, axis=1)[:, None]


def _log_gaps(law: _Law, kinds_T: np.ndarray, steps_T: np.ndarray) -> np.ndarray:
    """ln of the probability of each recorded gap, [T, Z]."""
    with np.errstate(divide="ignore"):
        low_T, high_T = (np.log(np.maximum(steps_T + side, 0) * RESOLUTION) for side in (-0.5, 0.5))
    mean_TZ, spread_TZ = law.mean_ZK[:, kinds_T].T, law.spread_ZK[:, kinds_T].T
    low_TZ = (low_T[:, None] - mean_TZ) / spread_TZ
    high_TZ = (high_T[:, None] - mean_TZ) / spread_TZ
    upper_TZ = low_TZ > 0  # there the other tail is the exact one
    a_TZ, b_TZ = np.where(upper_TZ, -high_TZ, low_TZ), np.where(upper_TZ, -low_TZ, high_TZ)
    return log_ndtr(b_TZ) + np.log(-np.expm1(log_ndtr(a_TZ) - log_ndtr(b_TZ)))


def _numbers(history: History) -> tuple[np.ndarray, np.ndarray]:
    """Kinds [T], and the gaps in tenths [T - 1]."""
    kinds_T = np.array([KINDS.index(str(name)) for name in history.fields["event"]])
    return kinds_T, np.rint(np.diff(history.times_T) / RESOLUTION)


def _history(draw: np.random.Generator, law: _Law, place: str, index: int) -> History:
    persona = index % len(PERSONAS)
    count = int(draw.integers(_SHORTEST, _LONGEST + 1))
    kinds, steps, channels, amounts = [int(draw.choice(len(KINDS), p=law.first_K))], [0], [], []
    for number in range(count):
        kind = kinds[-1]
        channels.append(CHANNELS[draw.choice(len(CHANNELS), p=law.channel_ZC[persona])])
        amounts.append(f"{np.exp(draw.normal(law.amount_ZK[persona, kind], _AMOUNT_SPREAD)):.4f}")
        if number < count - 1:
            gap = np.exp(draw.normal(law.mean_ZK[persona, kind], law.spread_ZK[persona, kind]))
            steps.append(round(gap / RESOLUTION))
            kinds.append(int(draw.choice(len(KINDS), p=law.next_ZKK[persona, kind])))
    return History(
        place,
        tuple(f"{place}, event {number + 1}" for number in range(count)),
        np.cumsum(steps) * RESOLUTION,
        {
            "event": tuple(KINDS[kind] for kind in kinds),
            "channel": tuple(channels),
            "amount": tuple(amounts),
            "persona": (PERSONAS[persona],) * count,
        },
    )
