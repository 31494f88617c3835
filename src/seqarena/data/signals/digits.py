"""Handwriting that needs no download: ten digits as strokes, drawn differently each time.

A digit is a few polylines in a square (x to the right, y down, 0 to 1). For each picture its
points are trembled, scaled, slanted, turned and shifted, its pen has a thickness of its own, and
noise lies over the paper. What it shows is therefore exactly known.

    N  pictures    S  line segments    P  pixels
"""

import numpy as np

from seqarena.data.signals.images import Images
from seqarena.data.streams import Stream, philox

SIZE = 28  # pixels a side, as MNIST
_SIZES = {"train": (Stream.TRAIN, 400), "validation": (Stream.VALIDATION, 40),
          "test": (Stream.TEST, 80)}  # pictures of each digit  # fmt: skip
_AT_ONCE = 20  # pictures drawn together: what fits into a cache


def _arc(x: float, y: float, across: float, down: float, start: int, end: int) -> list:
    """Points of an ellipse; degrees clockwise from the right."""
    angles = np.radians(np.linspace(start, end, 2 + abs(end - start) // 30))
    return [(x + across * np.cos(a), y + down * np.sin(a)) for a in angles]


STROKES: tuple[tuple[list, ...], ...] = (
    (_arc(0.5, 0.5, 0.26, 0.4, 0, 360),),
    ([(0.34, 0.26), (0.54, 0.1), (0.54, 0.9)],),
    ([*_arc(0.5, 0.32, 0.25, 0.22, 190, 390), (0.24, 0.9), (0.78, 0.9)],),
    ([*_arc(0.47, 0.3, 0.25, 0.2, 200, 450), *_arc(0.47, 0.7, 0.27, 0.2, 270, 520)],),
    ([(0.6, 0.1), (0.22, 0.62), (0.8, 0.62)], [(0.62, 0.4), (0.62, 0.92)]),
    ([(0.74, 0.1), (0.34, 0.1), (0.3, 0.46), *_arc(0.48, 0.66, 0.27, 0.24, 230, 510)],),
    ([(0.66, 0.08), (0.36, 0.4), *_arc(0.5, 0.68, 0.24, 0.22, 180, 540)],),
    ([(0.24, 0.12), (0.76, 0.12), (0.42, 0.9)],),
    (_arc(0.5, 0.3, 0.2, 0.19, 90, 450), _arc(0.5, 0.7, 0.25, 0.21, 270, 630)),
    ([*_arc(0.5, 0.32, 0.23, 0.21, 360, 0), (0.73, 0.32), (0.62, 0.92)],),
)


def drawn_digits() -> dict[str, Images]:
    """Every split, the same on every machine, classes in turn."""
    return {split: _draw(stream, each) for split, (stream, each) in _SIZES.items()}


def _draw(stream: Stream, each: int) -> Images:
    pixels_NHW = np.empty((10 * each, SIZE, SIZE), np.uint8)
    for digit, lines in enumerate(STROKES):
        generator = philox(0, stream, digit)
        own_NHW = pixels_NHW[digit::10]
        for first in range(0, each, _AT_ONCE):
            count = min(_AT_ONCE, each - first)
            own_NHW[first : first + count] = _pictures(generator, lines, count)
    return Images(pixels_NHW, (np.arange(10 * each) % 10).astype(np.uint8))


def _pictures(generator: np.random.Generator, lines: tuple[list, ...], count: int) -> np.ndarray:
    ends_NS22 = _placed(generator, _segments(generator, lines, count))
    thickness_N1 = generator.uniform(0.03, 0.06, (count, 1))
    ink_NP = np.clip((thickness_N1 - _distance(ends_NS22)) * SIZE + 0.5, 0.0, 1.0)
    ink_NP += generator.normal(0.0, 0.05, ink_NP.shape)
    return (255 * np.clip(ink_NP, 0, 1)).round().reshape(count, SIZE, SIZE).astype(np.uint8)


def _segments(generator: np.random.Generator, lines: tuple[list, ...], count: int) -> np.ndarray:
    """Both ends of every segment, [N, S, 2, 2], trembled."""
    parts = []
    for line in lines:
        points_NL2 = np.array(line) + generator.normal(0.0, 0.02, (count, len(line), 2))
        parts.append(np.stack((points_NL2[:, :-1], points_NL2[:, 1:]), axis=2))
    return np.concatenate(parts, axis=1)


def _placed(generator: np.random.Generator, ends_NS22: np.ndarray) -> np.ndarray:
    """Scaled, slanted, turned and shifted, each picture in its own way."""
    count = len(ends_NS22)
    scale_N2 = generator.uniform(0.6, 0.85, (count, 2))
    slant_N = generator.normal(0.1, 0.2, count)
    turn_N = generator.normal(0.0, 0.12, count)
    shift_N2 = generator.uniform(-0.07, 0.07, (count, 2))
    cosine, sine = np.cos(turn_N), np.sin(turn_N)
    turn_N22 = np.stack([cosine, -sine, sine, cosine], -1).reshape(-1, 2, 2)
    shape_N22 = np.zeros((count, 2, 2))
    shape_N22[:, 0, 0], shape_N22[:, 1, 1] = scale_N2.T
    shape_N22[:, 0, 1] = -slant_N * scale_N2[:, 1]
    moved_NS22 = np.einsum("nij,njk,nsek->nsei", turn_N22, shape_N22, ends_NS22 - 0.5)
    return moved_NS22 + 0.5 + shift_N2[:, None, None]


def _distance(ends_NS22: np.ndarray) -> np.ndarray:
    """From each pixel's centre to the nearest segment: [N, P]."""
    centres = ((np.arange(SIZE) + 0.5) / SIZE).astype(np.float32)
    y_P, x_P = (grid.ravel() for grid in np.meshgrid(centres, centres, indexing="ij"))
    nearest_NP = np.full((len(ends_NS22), SIZE * SIZE), np.inf, np.float32)
    for ends_N22 in ends_NS22.astype(np.float32).swapaxes(0, 1):
        start_N2, along_N2 = ends_N22[:, 0], ends_N22[:, 1] - ends_N22[:, 0]
        length_N1 = np.maximum((along_N2**2).sum(-1, keepdims=True), 1e-12)
        x_NP, y_NP = x_P - start_N2[:, :1], y_P - start_N2[:, 1:]
        share_NP = (x_NP * along_N2[:, :1] + y_NP * along_N2[:, 1:]) / length_N1
        np.clip(share_NP, 0.0, 1.0, out=share_NP)
        x_NP -= share_NP * along_N2[:, :1]
        y_NP -= share_NP * along_N2[:, 1:]
        np.minimum(nearest_NP, x_NP * x_NP + y_NP * y_NP, out=nearest_NP)
    return np.sqrt(nearest_NP)
