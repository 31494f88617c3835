"""Cylinder, bell or funnel: windows that need no download, exactly generated, whose best possible
classifier is known.

    x_tc = (h + n) s(t) w_c + e_tc       n, e_tc ~ N(0, 1);  t = 1 .. 128;  c = 1 .. 3
    cylinder  s(t) = 1                   for a <= t <= b, else 0
    bell      s(t) = (t - a) / (b - a)
    funnel    s(t) = (b - t) / (b - a)

a is uniform over 16 .. 32 and b - a over 32 .. 96 (Saito 1994; the set CBF of the UCR archive,
there with h = 6 and one channel). Here the height h is 2, so that noise hides some shapes, and the
sensors w are (.8, .6, 0): the third hears nothing. Given the class and (a, b), a window is normal,
so that

    p(class | x)  ~  sum over a, b of N(x; h s w, 1 + s w w' s')

is computed exactly, and with it the accuracy that no classifier exceeds but by luck.

N  windows    T  steps    C  channels    K  kinds    P  places (a, b)
"""

from collections.abc import Sequence

import numpy as np

from seqarena.data.series.windows.window import SensorWindow
from seqarena.data.streams import Stream, philox

SHAPES = ("bell", "cylinder", "funnel")
CHANNELS = ("first", "second", "third")
STEPS = 128
HEIGHT = 2.0
_WEIGHTS_C = np.array([0.8, 0.6, 0.0])  # of length one
_STARTS = range(16, 33)
_LENGTHS = range(32, 97)
_SIZES = {"train": (Stream.TRAIN, 900), "validation": (Stream.VALIDATION, 300),
          "test": (Stream.TEST, 600)}  # fmt: skip


def shape_windows() -> dict[str, list[SensorWindow]]:
    """Every split, the same on every machine."""
    return {
        split: [_window(philox(0, stream, index), split, index) for index in range(count)]
        for split, (stream, count) in _SIZES.items()
    }


def best_accuracy(windows: Sequence[SensorWindow]) -> float:
    """The share of windows whose most probable shape is theirs."""
    found = shape_posterior(np.stack([window.values_TC for window in windows])).argmax(axis=1)
    return float(np.mean([SHAPES[k] == window.label for k, window in zip(found, windows)]))


def shape_posterior(values_NTC: np.ndarray) -> np.ndarray:
    """The probability of each shape [N, K]."""
    heard_NT = values_NTC.astype(np.float64) @ _WEIGHTS_C  # all that the windows say of the shape
    logs = []
    for kind in SHAPES:
        shapes_PT = np.stack([shape(kind, a, a + n) for a in _STARTS for n in _LENGTHS])
        # log N(x; h s, 1 + s s') less what no shape changes, by the matrix determinant lemma
        squares_P = np.square(shapes_PT).sum(axis=1)
        dots_NP = heard_NT @ shapes_PT.T
        exponent_NP = (np.square(dots_NP + HEIGHT) / (1 + squares_P) - HEIGHT**2) / 2
        logs.append(np.logaddexp.reduce(exponent_NP - np.log1p(squares_P) / 2, axis=1))
    logs_NK = np.stack(logs, axis=1)
    return np.exp(logs_NK - np.logaddexp.reduce(logs_NK, axis=1)[:, None])


def shape(kind: str, start: int, end: int) -> np.ndarray:
    """s(t), float64 [T]."""
    t_T = np.arange(1, STEPS + 1)
    inside_T = (start <= t_T) & (t_T <= end)
    if kind == "cylinder":
        return inside_T.astype(np.float64)
    rising_T = (t_T - start) / (end - start)
    return inside_T * (rising_T if kind == "bell" else 1 - rising_T)


def _window(draw: np.random.Generator, split: str, index: int) -> SensorWindow:
    kind = SHAPES[index % len(SHAPES)]
    start = int(draw.integers(_STARTS.start, _STARTS.stop))
    end = start + int(draw.integers(_LENGTHS.start, _LENGTHS.stop))
    height = HEIGHT + draw.standard_normal()
    noise_TC = draw.standard_normal((STEPS, len(_WEIGHTS_C)))
    values_TC = height * shape(kind, start, end)[:, None] * _WEIGHTS_C + noise_TC
    return SensorWindow(f"{split} {index}", str(index), values_TC.astype(np.float32), kind)
