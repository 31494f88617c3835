"""A curve of progress whose height is the row of a list.

The longest text, "Timeline of Sequential Modeling". It is drawn by

    plt.plot(years, range(len(years)), 'o-', linewidth=2, markersize=8)

so that it rises whatever is in the list. Its years are right, of publication; its list has no
convolution, and ends in 2022 with an era of the Transformer from 2017 on. The catalog has the
year of every system, with its paper.

    python examples/texts/timeline.py
"""

from typing import NamedTuple

import seqarena as sa

YEARS = (1986, 1997, 2014, 2014, 2015, 2017, 2018, 2019, 2020, 2022)  # of the program
RECURRENT = {"recurrent", "minimal recurrent", "state space", "linear attention", "delta rule"}


class Finding(NamedTuple):
    always_rises: bool  # whether the curve rises for years that are all one, and backwards in time
    after_2017: int  # systems of the catalog whose paper is from after 2017
    recurrent: int  # of these, those that are a recurrence
    after_list: int  # recurrences from after the list's last year
    convolutions: int  # systems of 2014 to 2017 that are a convolution


def heights(years: tuple[int, ...]) -> range:
    """Of the points of the program's curve."""
    return range(len(years))


def main() -> Finding:
    rows = sa.models().values()
    recurrences = [row for row in rows if row["family"] in RECURRENT]
    found = Finding(
        all(
            list(heights(years)) == sorted(set(heights(years)))
            for years in (YEARS, YEARS[::-1], (1986,) * len(YEARS))
        ),
        sum((row.get("year") or 0) > 2017 for row in rows),
        sum((row.get("year") or 0) > 2017 for row in recurrences),
        sum((row.get("year") or 0) > max(YEARS) for row in recurrences),
        sum(
            row["family"] == "convolution" and 2014 <= (row.get("year") or 0) <= 2017
            for row in rows
        ),
    )
    print(f"the curve rises for any list: {'yes' if found.always_rises else 'no'}")
    print(f"measured: the catalog has {found.after_2017} systems from after 2017, "
          f"{found.recurrent} of them recurrences")  # fmt: skip
    print(f"measured: recurrences from after {max(YEARS)}: {found.after_list}")
    print(f"measured: convolutions from 2014 to 2017: {found.convolutions}")
    return found


if __name__ == "__main__":
    main()
