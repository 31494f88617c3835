"""A forecast in sentences: the decision, a pair, a cost. The terminal and the page say the same."""

from seqarena.core import words
from seqarena.core.results.forecasts import (
    ArchitectureForecast,
    Forecast,
    ForecastView,
    PairForecast,
    Span,
)


def decision(forecast: Forecast) -> tuple[str, str]:
    """What to use at the target: a few large words, and how sure that is."""
    first, *others = forecast.architectures
    at, tokens = size_words(forecast)
    open_to = rivals(forecast, first.architecture)
    best = share(first.best_probability)
    if not open_to:
        least = min(forecast.pair(first.architecture, one.architecture).probability
                    for one in others)  # fmt: skip
        return (
            f"{first.architecture} at {at} parameters",
            f"on {tokens} tokens, better than every other with a probability of at least "
            f"{share(least)} each, and the best of all with {best}.",
        )
    if len(open_to) == len(others):
        return (
            f"At {at} parameters it cannot be told",
            f"on {tokens} tokens, no architecture is ahead of another with a probability of "
            f"{share(forecast.threshold)}. {first.architecture} is the best of all with {best}."
            if len(others) > 1
            else f"on {tokens} tokens, {first.architecture} is the better one with {best} only.",
        )
    told = [one.architecture for one in others if one.architecture not in open_to]
    group = words.listed([first.architecture, *open_to], last=" or ")
    return (
        f"{group} at {at} parameters",
        f"on {tokens} tokens; which of them is better cannot be told. {first.architecture} is the "
        f"best of all with a probability of {best}. Behind it: {words.listed(told)}.",
    )


def rivals(forecast: Forecast, name: str) -> list[str]:
    """The architectures of which it cannot be told that `name` is better, the likeliest first."""
    found = []
    for one in forecast.architectures:
        if one.architecture != name:
            pair = forecast.pair(name, one.architecture)
            if not (pair.told and pair.better == name):
                found.append(one.architecture)
    return found


def size_words(forecast: Forecast) -> tuple[str, str]:
    """The target's parameters and tokens: "1 M", "10 M"."""
    target = forecast.target
    params, tokens = (
        words.with_unit(float(f"{number:.2g}"), "count")
        for number in (target.params, target.tokens)
    )
    return params, tokens


def share(probability: float) -> str:
    """A probability with as many digits as it deserves: 63 %, never 100 %."""
    return "over 99 %" if probability > 0.99 else "under 1 %" if probability < 0.01 else (
        f"{100 * probability:.0f} %"
    )  # fmt: skip


def pair_words(forecast: Forecast, pair: PairForecast) -> str:
    """One pair in a line: told or not, the gap, the multiplier, the crossing."""
    metric = words.of_name(forecast.ladder.metric)
    gap = span_words(Span(value=pair.gap, low=pair.gap_80[0], high=pair.gap_80[1]), signed=True)
    if not pair.told:
        return (
            f"{pair.better} and {pair.worse}: cannot be told ({share(pair.probability)}); "
            f"gap {gap} {metric}"
        )
    parts = [
        f"{pair.better} better than {pair.worse}: {share(pair.probability)}; gap {gap} {metric}"
    ]
    if pair.multiplier is not None:
        parts.append(multiplier_words(pair))
    if pair.crossing is not None:
        parts.append(f"the order turns at {crossing_words(pair.crossing)}")
    return "; ".join(parts)


def multiplier_words(pair: PairForecast) -> str:
    """ "attention needs 1.6 times less compute than lstm for the same score (1.3 to 2.1)"."""
    assert pair.multiplier is not None
    span = span_words(pair.multiplier)
    return f"{pair.better} needs {span} times less compute than {pair.worse} for the same score"


def crossing_words(span: Span) -> str:
    """Where an order turns, over the top rung's compute."""
    high = "or never" if span.high is None else f"to {times(span.high)}"
    return f"{times(span.value)} the top rung ({times(span.low or 1.0)} {high})"


def times(factor: float) -> str:
    """ "1.6x", "120x"."""
    return f"{float(f'{factor:.2g}'):,g}x"


def span_words(span: Span, *, signed: bool = False) -> str:
    """A figure with its interval, two digits each; with one number of decimals where it is
    signed."""
    if not signed:
        ends = [words.ABSENT if end is None else _short(end) for end in (span.low, span.high)]
        return f"{_short(span.value)} ({ends[0]} to {ends[1]})"
    ends = [end for end in (span.low, span.high) if end is not None]
    decimals = words.decimals(max(abs(end - span.value) for end in ends) or 1.0)
    low, high = (words.signed(end, decimals) for end in ends)
    return f"{words.signed(span.value, decimals)} ({low} to {high})"


def _short(value: float) -> str:
    return f"{float(f'{value:.2g}'):,g}"


def cost_words(one: ArchitectureForecast) -> str:
    """What a training at the target costs."""
    parts = []
    if one.seconds is not None:
        parts.append(f"{time_words(one.seconds)} for a training on this machine")
    if one.peak_training_bytes is not None:
        parts.append(f"{words.with_unit(one.peak_training_bytes.value, 'bytes')} of memory")
    return words.listed(parts) or "not measured"


_UNITS = ((86_400, "days"), (3_600, "h"), (60, "min"), (1, "s"))


def time_words(span: Span) -> str:
    """A time with its 80 % interval: trainings share the machine, and their times vary."""
    if span.low is None or span.high is None:
        return f"about {words.duration(span.value)}"
    value, low, high = (words.duration(end) for end in (span.value, span.low, span.high))
    return f"about {value} ({low} to {high})"


def time_range(span: Span) -> str:
    """The 80 % interval of a time in one unit, for a narrow column: "3.5 to 26 min"."""
    if span.low is None or span.high is None:
        return words.duration(span.value)
    seconds, unit = next(
        (size, name) for size, name in _UNITS if span.high >= size or size == _UNITS[-1][0]
    )
    return f"{span.low / seconds:.2g} to {span.high / seconds:.2g} {unit}"


def verification_words(view: ForecastView) -> list[str]:
    """How the predictions did at the target, in lines; none where nothing was verified."""
    found = view.verification
    if found is None:
        return []
    told = found.told
    right = sum(one.right for one in told)
    inside = sum(one.inside_80 for one in found.pairs)
    orders = f"{right} of {words.plural(len(told), 'order')} right" if told else "no order was told"
    return [
        f"verified at the target: {orders}; {inside} of {words.plural(len(found.pairs), 'gap')} "
        f"inside the 80 % interval; Brier score {found.brier:.3f}; predictions of "
        f"{found.written_at}, SHA-256 {found.sha256[:12]}..."
    ]
