"""Tables of a forecast: pairs, the verification, costs, methods, the ladder."""

from collections.abc import Sequence
from dataclasses import dataclass

from seqarena.core import words
from seqarena.core.results.forecasts import ForecastView, PairForecast, Span
from seqarena.report.forecast.charts import line_styles
from seqarena.report.forecast.wording import crossing_words, share, span_words
from seqarena.report.page.parts import Cell, Heading, Section, Table, headings, number_cell
from seqarena.report.page.style import css


@dataclass(frozen=True, kw_only=True)
class ForecastTableSection(Section):
    """A paragraph, tables, notes."""

    template = "forecast/table.html"
    lead: str
    tables: Sequence[Table]
    notes: Sequence[str] = ()


def pairs_section(view: ForecastView) -> ForecastTableSection:
    """Every pair: who is better, how sure, by how much, worth how much compute."""
    forecast = view.forecast
    metric = words.of_name(forecast.ladder.metric)
    rows = [
        [
            _pair_cell(pair),
            Cell("told" if pair.told else "cannot be told", "0" if pair.told else "1"),
            number_cell(share(pair.probability), pair.probability),
            number_cell(_gap_words(pair.gap, pair.gap_80), pair.gap),
            number_cell(_gap_words(pair.gap, pair.gap_95), pair.gap),
            number_cell(
                words.ABSENT if pair.multiplier is None else span_words(pair.multiplier),
                None if pair.multiplier is None else pair.multiplier.value,
            ),
            Cell(words.ABSENT if pair.crossing is None else crossing_words(pair.crossing)),
            number_cell(words.signed(pair.top_gap, _decimals(pair)), pair.top_gap),
        ]
        for pair in forecast.pairs
    ]
    return ForecastTableSection(
        name="pairs",
        link="Pairs",
        heading="Every pair at the target",
        lead=(
            f"An order is told from a probability of {share(forecast.threshold)} on. The "
            "multiplier is the training compute that the worse one needs over that of the better "
            "one for the same score, when size and tokens grow together; each of the two grows by "
            "its square root. Gaps are of the worse minus the better, positive for worse."
        ),
        tables=[
            Table(
                "Pairs, the surest first",
                headings(
                    "better than",
                    "order",
                    "probability",
                    Heading("gap (80 %)", metric),
                    Heading("gap (95 %)", metric),
                    Heading("multiplier (80 %)", "of compute"),
                    "the order turns",
                    Heading("gap at the top rung", metric),
                ),
                rows,
                sortable=True,
            )
        ],
    )


def verification_section(view: ForecastView) -> ForecastTableSection | None:
    """The predictions beside what was measured. None where nothing was verified."""
    found = view.verification
    if found is None:
        return None
    rows = [
        [
            _pair_cell(one.prediction),
            number_cell(share(one.prediction.probability), one.prediction.probability),
            number_cell(_gap_words(one.prediction.gap, one.prediction.gap_80), one.prediction.gap),
            number_cell(words.signed(one.gap, _decimals(one.prediction)), one.gap),
            Cell(("right" if one.right else "wrong") if one.prediction.told else "not told"),
            Cell("yes" if one.inside_80 else "no"),
            number_cell(f"{one.squared_error:.3f}", one.squared_error),
        ]
        for one in found.pairs
    ]
    return ForecastTableSection(
        name="verification",
        link="Verified",
        heading="Scored at the target",
        lead=(
            f"The predictions were written at {found.written_at}, before these trainings began, "
            f"into a file whose SHA-256 is {found.sha256}. A measured gap counts as inside where "
            "the interval holds it once its own noise is added."
        ),
        tables=[
            Table(
                "Predicted and measured",
                headings("better than", "probability", "predicted gap (80 %)", "measured gap",
                         "order", "inside 80 %", "squared error"),
                rows,
            )
        ],
    )  # fmt: skip


def costs_section(view: ForecastView) -> ForecastTableSection:
    """Score, time and memory of each architecture at the target."""
    forecast = view.forecast
    styles = line_styles(forecast)
    rows = []
    for one in forecast.architectures:
        low, high = (words.significant(end) for end in one.score_80)
        rows.append(
            [
                Cell(one.architecture, one.architecture,
                     colour=css(styles[one.architecture].colour),
                     under=forecast.ladder.titles.get(one.architecture, "")),
                number_cell(words.significant(one.score), one.score, under=f"{low} to {high}"),
                number_cell(share(one.best_probability), one.best_probability),
                _cost_cell(one.seconds, "seconds"),
                _exponent_cell(one.seconds_exponent),
                _cost_cell(one.peak_training_bytes, "bytes"),
                _exponent_cell(one.bytes_exponent),
                number_cell(words.rate(one.learning_rate), one.learning_rate),
            ]
        )  # fmt: skip
    return ForecastTableSection(
        name="costs",
        link="Costs",
        heading="What each costs at the target",
        lead=(
            "One training on this machine, by the powers of compute that the three highest rungs "
            "show; 80 % intervals of the fit below. A larger model may use a machine better, or no "
            "longer fit it: beyond the ladder these are extrapolations. The learning rate is that "
            "of the highest rungs, changed with the size by the power that all rungs show together."
        ),
        tables=[
            Table(
                "Architectures, the one that is expected to lead first",
                headings(
                    "architecture", words.of_name(forecast.ladder.metric), "is the best",
                    "time of a training", Heading("exponent", "of time"), "peak memory",
                    Heading("exponent", "of memory"), "learning rate",
                ),
                rows,
                sortable=True,
            )
        ],
    )  # fmt: skip


def methods_section(view: ForecastView) -> ForecastTableSection:
    """How each method did when the top rungs were hidden."""
    rows = [
        [
            Cell(one.title, one.title, under="used here" if one.chosen else ""),
            number_cell(f"{one.log_score:.2f}", one.log_score, best=one.chosen),
            number_cell(f"{one.brier:.3f}", one.brier),
            number_cell(words.ABSENT if one.accuracy != one.accuracy else share(one.accuracy),
                        None if one.accuracy != one.accuracy else one.accuracy),
            number_cell(share(one.abstained), one.abstained),
            number_cell(share(one.coverage), one.coverage),
            number_cell(f"{one.model_error:.4f}", one.model_error),
            number_cell(f"{one.pairs:,}", one.pairs),
        ]
        for one in view.forecast.methods
    ]  # fmt: skip
    return ForecastTableSection(
        name="methods",
        link="Methods",
        heading="How the method was chosen",
        lead=(
            "The top rungs were hidden and predicted from those below. The method that "
            "gave what was found the highest density (the lowest log score) is used: a wrong "
            "order, an interval too narrow and one too wide all cost. What a method was wrong by "
            "beyond noise widens its intervals in proportion to the distance."
        ),
        tables=[
            Table(
                "Methods in the back-test",
                headings(
                    "method",
                    "log score",
                    "Brier score",
                    "right orders",
                    "abstained",
                    "in 80 % intervals",
                    Heading("model error", "for each e-fold of compute"),
                    "hidden gaps",
                ),
                rows,
                sortable=True,
            )
        ],
        notes=view.choices,
    )  # fmt: skip


def ladder_section(view: ForecastView) -> ForecastTableSection:
    """The measured scores and rates of every rung."""
    ladder = view.forecast.ladder
    rows = []
    for name in [one.architecture for one in view.forecast.architectures]:
        cells: list[Cell] = [Cell(name, name)]
        for rung in ladder.rungs:
            cell = rung.cell(name)
            assert cell is not None
            edge = "*" if cell.learning_rate_at_edge else ""
            cells.append(
                number_cell(words.significant(cell.mean, 4), cell.mean,
                            under=f"rate {words.rate(cell.learning_rate)}{edge}")
            )  # fmt: skip
        rows.append(cells)
    heads = [
        Heading(f"{words.with_unit(rung.params, 'count')} parameters",
                f"{words.with_unit(rung.tokens, 'count')} tokens")
        for rung in ladder.rungs
    ]  # fmt: skip
    seeds = {len(cell.seeds) for rung in ladder.rungs for cell in rung.cells}
    low, high = min(seeds), max(seeds)
    counted = words.plural(high, "seed") if low == high else f"{low} to {high} seeds"
    notes = [f"{name}: {why}." for name, why in ladder.left_out.items()]
    return ForecastTableSection(
        name="ladder",
        link="Ladder",
        heading="The rungs",
        lead=(
            f"{words.of_name(ladder.metric).capitalize()} on test, the mean over {counted}, at the "
            "learning rate that validation chose on that rung (*: the lowest or highest that was "
            "tried). All architectures of a rung have the same seeds and the same order of data."
        ),
        tables=[Table("Scores of every rung", headings("architecture", *heads), rows)],
        notes=notes,
    )


def _pair_cell(pair: PairForecast) -> Cell:
    return Cell(f"{pair.better} > {pair.worse}", f"{pair.better} {pair.worse}")


def _decimals(pair: PairForecast) -> int:
    return words.decimals(max(abs(pair.gap_80[1] - pair.gap), 1e-6))


def _gap_words(gap: float, ends: tuple[float, float]) -> str:
    return span_words(Span(value=gap, low=ends[0], high=ends[1]), signed=True)


def _cost_cell(span: Span | None, unit: str) -> Cell:
    if span is None or span.low is None or span.high is None:
        return number_cell(words.ABSENT, None)
    say = words.duration if unit == "seconds" else lambda value: words.with_unit(value, unit)
    return number_cell(say(span.value), span.value, under=f"{say(span.low)} to {say(span.high)}")


def _exponent_cell(span: Span | None) -> Cell:
    if span is None:
        return number_cell(words.ABSENT, None)
    return number_cell(f"{span.value:.2f}", span.value)
