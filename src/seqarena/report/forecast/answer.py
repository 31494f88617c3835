"""The top of the page: what to use at the target, how sure that is, and what it costs."""

from seqarena.core import words
from seqarena.core.results.forecasts import Forecast, ForecastView, MethodScore
from seqarena.report.forecast.wording import (
    cost_words,
    crossing_words,
    decision,
    multiplier_words,
    rivals,
    share,
    times,
    verification_words,
)
from seqarena.report.page.parts import AnswerSection, Card, Verdict
from seqarena.report.page.plain_names import with_plain_names

_MOST = 3  # pairs that a card names


def answer_section(view: ForecastView) -> AnswerSection:
    """The decision, the doubt, and cards: how sure, what it costs, what turns, what would settle
    the rest."""
    forecast = view.forecast
    large, small = decision(forecast)
    cards = (
        _cost_card(forecast),
        _multiplier_card(forecast),
        _turning_card(forecast),
        _top_card(forecast),
        _verification_card(view),
        _warning_card(forecast),
    )
    titles = forecast.ladder.titles
    headline = with_plain_names(large, titles)
    sentence = with_plain_names(words.capitalised(small), titles, {p.small for p in headline})
    met = {phrase.small for phrase in (*headline, *sentence)}
    return AnswerSection(
        label="The decision",
        title=view.name,
        facts=_facts(forecast),
        verdict=Verdict(headline, sentence),
        doubt=_doubt(forecast),
        cards_label="In short",
        cards=[
            card._replace(text=with_plain_names(str(card.text), titles, met))
            for card in cards
            if card is not None
        ],
        command=view.command,
    )


def chosen_method(forecast: Forecast) -> MethodScore:
    """The method that the forecast was made by, with its score."""
    return next(one for one in forecast.methods if one.chosen)


def _facts(forecast: Forecast) -> list[str]:
    ladder, target = forecast.ladder, forecast.target
    low, high = (words.with_unit(rung.params, "count") for rung in
                 (ladder.rungs[0], ladder.top))  # fmt: skip
    return [
        words.of_name(ladder.task),
        ladder.data,
        f"{len(ladder.rungs)} rungs, {low} to {high} parameters",
        words.plural(len(ladder.architectures), "architecture"),
        f"target {times(target.factor)} the compute of the top rung",
    ]


def _doubt(forecast: Forecast) -> str:
    score = chosen_method(forecast)
    told = sum(pair.told for pair in forecast.pairs)
    return (
        f"{told} of {words.plural(len(forecast.pairs), 'pair')} can be told at a probability of "
        f"{share(forecast.threshold)}. The gaps are carried on by {score.title}, which did best "
        f"when the top rungs were hidden: Brier score {score.brier:.3f} (0 is right and sure, "
        f"0.25 is a coin), {share(score.coverage)} of the hidden gaps inside its 80 % intervals."
    )


def _cost_card(forecast: Forecast) -> Card | None:
    first = forecast.architectures[0]
    open_to = rivals(forecast, first.architecture)
    named = [first, *(one for one in forecast.architectures if one.architecture in open_to)]
    named = named[:_MOST]
    if all(one.seconds is None and one.peak_training_bytes is None for one in named):
        return None
    texts = [f"{one.architecture}: {cost_words(one)}" for one in named]
    return Card("What it costs there", ". ".join(texts) + ".")


def _multiplier_card(forecast: Forecast) -> Card | None:
    """Of the first against those that it is told apart from, the nearest first."""
    first = forecast.architectures[0].architecture
    pairs = [p for p in forecast.pairs if p.better == first and p.told and p.multiplier]
    pairs.sort(key=lambda pair: pair.gap)
    if not pairs:
        return None
    texts = [multiplier_words(pair) for pair in pairs[:_MOST]]
    return Card("What the lead is worth", ". ".join(texts) + ". In brackets: 80 % intervals.")


def _turning_card(forecast: Forecast) -> Card | None:
    pairs = [pair for pair in forecast.pairs if pair.crossing is not None]
    if not pairs:
        return Card("Orders that turn", "None is expected between the top rung and the target.")
    told = [pair for pair in pairs if pair.told]
    texts = []
    for pair in (told or pairs)[:_MOST]:
        assert pair.crossing is not None
        passes = "passes" if pair.told else "may pass"
        texts.append(f"{pair.better} {passes} {pair.worse} at {crossing_words(pair.crossing)}")
    return Card("Orders that turn", ". ".join(texts) + ".")


def _top_card(forecast: Forecast) -> Card:
    """What the top rung alone would have said."""
    top = {name: sum(pair.top_gap > 0 for pair in forecast.pairs if pair.better == name)
           + sum(pair.top_gap < 0 for pair in forecast.pairs if pair.worse == name)
           for name in forecast.ladder.architectures}  # fmt: skip
    leader = max(top, key=lambda name: top[name])
    changed = sum(pair.top_gap < 0 for pair in forecast.pairs)
    many = "No pair changes its order" if not changed else (
        f"{words.plural(changed, 'pair')} of {len(forecast.pairs)} "
        f"{'changes its' if changed == 1 else 'change their'} order"
    )  # fmt: skip
    return Card("The top rung alone", f"{leader} leads there. {many} on the way to the target.")


def _verification_card(view: ForecastView) -> Card | None:
    lines = verification_words(view)
    if not lines:
        return None
    text = lines[0].partition(": ")[2]
    return Card("Verified at the target", f"{text[:1].upper()}{text[1:]}.", long=len(text) > 200)


def _warning_card(forecast: Forecast) -> Card | None:
    if not forecast.warnings:
        return None
    text = ". ".join(one[:1].upper() + one[1:] for one in forecast.warnings)
    return Card("Read with care", f"{text}.", long=len(text) > 200)
