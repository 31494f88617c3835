"""The parts of an array that lie at equal distances, as the gates of one position do."""

from numba import njit


@njit(inline="always")
def three(x, at, size):
    """The first three pieces of `size` numbers from `at` on."""
    return x[at : at + size], x[at + size : at + 2 * size], x[at + 2 * size : at + 3 * size]


@njit(inline="always")
def four(x, at, apart, size):
    """Pieces of `size` numbers at `at`, and `apart`, twice and three times as far behind it."""
    second, third, fourth = at + apart, at + 2 * apart, at + 3 * apart
    return (
        x[at : at + size],
        x[second : second + size],
        x[third : third + size],
        x[fourth : fourth + size],
    )
