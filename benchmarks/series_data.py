"""Writes the public-domain series of the forecasting recipes, as packages ship them.

python -m benchmarks.series_data $SEQARENA_DATA/series

elnino.csv    monthly sea surface temperature off Peru (0-10 South, 90-80 West), 1950 to 2010,
              degrees Celsius: National Oceanic and Atmospheric Administration, by statsmodels
sunspots.csv  yearly sunspot numbers, 1700 to 2008: SIDC, by statsmodels
"""

import csv
import sys
from collections.abc import Iterable
from pathlib import Path

from statsmodels.datasets import elnino, sunspots


def elnino_rows() -> Iterable[tuple[str, float]]:
    """(month, temperature), of a table with a row a year and a column a month."""
    table = elnino.load_pandas().data
    for row in table.itertuples(index=False):
        year, *months = row
        for month, value in enumerate(months, start=1):
            yield f"{int(year)}-{month:02d}", float(value)


def sunspot_rows() -> Iterable[tuple[str, float]]:
    """(year, number)."""
    for year, number in sunspots.load_pandas().data.itertuples(index=False):
        yield f"{int(year)}", float(number)


def write(file: Path, column: str, rows: Iterable[tuple[str, float]]) -> None:
    """A table of time and value."""
    with file.open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(("time", column))
        table.writerows(rows)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / "elnino.csv", "temperature", elnino_rows())
    write(folder / "sunspots.csv", "sunspots", sunspot_rows())
