"""Dates as ten languages write them, and the ISO date that is meant: pairs without a download.

    "mercredi 4 mars 1987"  ->  "1987-03-04"

Every form is unambiguous: dots and hyphens stand for day-month-year, slashes for month/day/year,
and years have four digits. The dates of 1900 to 2099 are dealt out once among train, validation
and test, so that no date of one occurs in another in any form.
"""

from collections.abc import Callable
from datetime import date, timedelta
from functools import partial
from typing import NamedTuple

import numpy as np

from seqarena.data.files.examples import Splits
from seqarena.data.streams import Stream, philox
from seqarena.data.text.pairs import Pair

FIRST, LAST = date(1900, 1, 1), date(2099, 12, 31)
_HELD_OUT = 7_300  # dates of validation, and of test: a tenth each


class Language(NamedTuple):
    """How a language names months and weekdays (from Monday) and orders a date.

    The orders use {d} day, {m} month, {y} year, {o} English ordinal; {w} weekday.
    """

    months: tuple[str, ...]
    weekdays: tuple[str, ...]
    orders: tuple[str, ...]


def _language(months: str, weekdays: str, *orders: str) -> Language:
    return Language(tuple(months.split()), tuple(weekdays.split()), orders)


LANGUAGES = {
    "English": _language(
        "January February March April May June July August September October November December",
        "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
        "{m} {d}, {y}", "{d} {m} {y}", "the {o} of {m} {y}", "{w}, {m} {d}, {y}", "{w} {d} {m} {y}",
    ),
    "German": _language(
        "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
        "Montag Dienstag Mittwoch Donnerstag Freitag Samstag Sonntag",
        "{d}. {m} {y}", "{w}, {d}. {m} {y}", "{w}, den {d}. {m} {y}",
    ),
    "French": _language(
        "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
        "lundi mardi mercredi jeudi vendredi samedi dimanche",
        "{d} {m} {y}", "le {d} {m} {y}", "{w} {d} {m} {y}",
    ),
    "Spanish": _language(
        "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
        "lunes martes miércoles jueves viernes sábado domingo",
        "{d} de {m} de {y}", "{w}, {d} de {m} de {y}",
    ),
    "Italian": _language(
        "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre "
        "dicembre",
        "lunedì martedì mercoledì giovedì venerdì sabato domenica",
        "{d} {m} {y}", "{w} {d} {m} {y}",
    ),
    "Dutch": _language(
        "januari februari maart april mei juni juli augustus september oktober november december",
        "maandag dinsdag woensdag donderdag vrijdag zaterdag zondag",
        "{d} {m} {y}", "{w} {d} {m} {y}",
    ),
    "Portuguese": _language(
        "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
        "segunda-feira terça-feira quarta-feira quinta-feira sexta-feira sábado domingo",
        "{d} de {m} de {y}", "{w}, {d} de {m} de {y}",
    ),
    "Swedish": _language(
        "januari februari mars april maj juni juli augusti september oktober november december",
        "måndag tisdag onsdag torsdag fredag lördag söndag",
        "{d} {m} {y}", "den {d} {m} {y}", "{w} den {d} {m} {y}",
    ),
    "Polish": _language(
        "stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października "
        "listopada grudnia",
        "poniedziałek wtorek środa czwartek piątek sobota niedziela",
        "{d} {m} {y}", "{w}, {d} {m} {y}",
    ),
    "Finnish": _language(
        "tammikuuta helmikuuta maaliskuuta huhtikuuta toukokuuta kesäkuuta heinäkuuta elokuuta "
        "syyskuuta lokakuuta marraskuuta joulukuuta",
        "maanantai tiistai keskiviikko torstai perjantai lauantai sunnuntai",
        "{d}. {m} {y}", "{w} {d}. {m} {y}",
    ),
}  # fmt: skip
_ENGLISH = LANGUAGES["English"].months
_NUMERIC: tuple[Callable[[date], str], ...] = (
    lambda day: f"{day.day}.{day.month}.{day.year}",
    lambda day: f"{day.day:02}.{day.month:02}.{day.year}",
    lambda day: f"{day.day}-{day.month}-{day.year}",
    lambda day: f"{day.month}/{day.day}/{day.year}",
    lambda day: f"{day.month:02}/{day.day:02}/{day.year}",
    lambda day: f"{day.year}/{day.month}/{day.day}",
    lambda day: f"{_ENGLISH[day.month - 1][:3]} {day.day}, {day.year}",
    lambda day: f"{day.day} {_ENGLISH[day.month - 1][:3]} {day.year}",
    lambda day: f"{day.year}年{day.month}月{day.day}日",
)


def _write(day: date, language: Language, order: str) -> str:
    return order.format(
        d=day.day,
        o=_ordinal(day.day),
        m=language.months[day.month - 1],
        w=language.weekdays[day.weekday()],
        y=day.year,
    )


def _ordinal(number: int) -> str:
    suffix = "th" if 10 <= number <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"


# every way to write a date, in a fixed order
FORMS: tuple[Callable[[date], str], ...] = (
    *(
        partial(_write, language=language, order=order)
        for language in LANGUAGES.values()
        for order in language.orders
    ),
    *_NUMERIC,
)


def make_dates(train: int = 20_000, validation: int = 1_000, test: int = 1_000) -> Splits:
    """That many pairs of each split, always the same ones; no two of a split are alike."""
    order = philox(0, Stream.TRAIN, 0).permutation((LAST - FIRST).days + 1)
    held = np.split(order, (_HELD_OUT, 2 * _HELD_OUT))
    return Splits(
        _draw(held[2], train, Stream.TRAIN),
        _draw(held[0], validation, Stream.VALIDATION),
        _draw(held[1], test, Stream.TEST),
    )


def _draw(days: np.ndarray, count: int, stream: Stream) -> list[Pair]:
    generator = philox(1, stream, 0)
    # a number names a day and a form of it: drawing without replacement gives no pair twice
    chosen = generator.choice(len(days) * len(FORMS), size=count, replace=False)
    place, form = np.divmod(chosen, len(FORMS))
    dates = [FIRST + timedelta(days=k) for k in days[place].tolist()]
    return [Pair(FORMS[k](day), day.isoformat()) for day, k in zip(dates, form.tolist())]
