"""Ladders of real trainings: the reader, the files of a forecast, the verb, its page."""

import json
import shutil
from pathlib import Path

import pytest
from planted_ladders import LAWS, planted
from typer.testing import CliRunner

import seqarena as sa
from seqarena.arena.requests import SearchRequest
from seqarena.cli import app
from seqarena.core.errors import UserError
from seqarena.core.results.forecasts import ForecastView
from seqarena.engine.ladder.climb import fitting, next_rates
from seqarena.engine.ladder.plan import RungPlan
from seqarena.forecast.ladder import merged, read_ladder, read_rung
from seqarena.forecast.predict import forecast
from seqarena.forecast.requests import ForecastRequest, LadderRequest
from seqarena.forecast.store import (
    read_forecast,
    stored_predictions,
    write_forecast,
    write_predictions,
    write_verification,
)
from seqarena.forecast.targets import target_of
from seqarena.forecast.verify import verified
from seqarena.report.forecast.page import render_forecast

SIZES = (1_500, 2_200, 3_000)
OPTIONS = {"length": 16, "batch": 2, "dtype": "float32", "device": "cpu", "evaluations": 4}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three sizes of two architectures, each a training of its own."""
    place = tmp_path_factory.mktemp("ladder")
    text = place / "text.txt"
    text.write_text("the cat sat on the mat and the dog sat on the log. " * 200, encoding="utf-8")
    found = []
    for size in SIZES:
        for model in ("gru", "elman"):
            name = f"rung-{size}-{model}"
            run = sa.train(
                text, model=model, params=size, tokens=2 * size, runs=place, name=name,
                rate=0.01, verbose=False, **OPTIONS,
            )  # fmt: skip
            found.append(run.path)
    return found


def test_run_folders_are_read_as_rungs(folders: list[Path]) -> None:
    ladder = read_ladder(folders[::-1])
    assert [rung.params for rung in ladder.rungs] == list(SIZES)
    assert set(ladder.architectures) == {"gru", "elman"}
    assert ladder.metric == "bits_per_byte"
    assert ladder.lower_is_better
    assert not ladder.unfinished
    for rung in ladder.rungs:
        for name in ("gru", "elman"):
            cell = rung.cell(name)
            run = sa.open_run(next(p for p in folders if p.name == f"rung-{rung.params}-{name}"))
            (trial,) = run.view.trials
            assert cell is not None
            assert cell.values == (trial.test_value,)
            assert cell.chunk_values == pytest.approx(trial.test_chunk_values)
            assert (cell.tokens, cell.flops) == (trial.tokens, trial.training_flops)
            assert cell.validation_curve == trial.validation_curve
            assert cell.learning_rate == 0.01


def test_what_is_no_ladder_is_refused(folders: list[Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="at least 3 rungs"):
        read_ladder(folders[:4])
    with pytest.raises(UserError, match="is not a run folder"):
        read_ladder([*folders, tmp_path])
    with pytest.raises(UserError, match="two architectures or more"):
        read_ladder(folders[::2])
    missing = read_ladder([*folders[:5], *folders[5:6]])
    assert not missing.left_out
    other = tmp_path / "other.txt"
    other.write_text("a b c d e f g " * 500, encoding="utf-8")
    run = sa.train(other, model="gru", params=4_000, tokens=500, runs=tmp_path, name="other",
                   verbose=False, **OPTIONS)  # fmt: skip
    with pytest.raises(UserError, match="no rungs of one ladder: they have other data"):
        read_ladder([*folders, run.path])


def test_an_architecture_that_misses_a_rung_is_left_out_and_why(folders: list[Path]) -> None:
    rungs = merged(read_rung(path).rung for path in folders)
    assert [len(rung.cells) for rung in rungs] == [2, 2, 2]
    with pytest.raises(UserError, match="gru is in"):
        merged([*rungs, read_rung(folders[0]).rung])
    first = rungs[0]
    other = first.model_copy(update={"params": first.params * 2, "tokens": first.tokens // 2})
    with pytest.raises(UserError, match="same parameters times tokens"):
        merged([first, other])


def test_the_verb_forecasts_from_folders(folders: list[Path], tmp_path: Path) -> None:
    named = [part for path in folders for part in ("--from", str(path))]
    words = ["forecast", *named, "--target", "10x", "--runs", str(tmp_path), "--name", "f"]
    result = CliRunner().invoke(app, [*words, "--json"])
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert said["target"]["factor"] == 10
    assert len(said["pairs"]) == 1
    assert len(said["architectures"]) == 2
    assert said["predictions_sha256"] is None
    assert said["verification"] is None
    page = (tmp_path / "f" / "report.html").read_text(encoding="utf-8")
    assert "Every pair at the target" in page
    again = sa.forecast_from(folders, "10x", runs=tmp_path, name="f", verbose=False)
    assert again.decision in CliRunner().invoke(app, [*words, "-q"]).stdout.replace("\n", "")
    assert sa.report(tmp_path / "f") == tmp_path / "f" / "report.html"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--target", "soon"], "--target 'soon' is none"),
        (["--rungs", "10k,20k"], "needs at least 4"),
        (["--from", "nowhere"], "nowhere is not a run folder"),
        (["--models", "nothing"], "unknown architecture 'nothing'"),
    ],
)
def test_mistakes_are_one_line(words: list[str], said: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["forecast", "--runs", str(tmp_path), *words])
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stderr.strip().count("\n") == 0


def test_a_budget_is_the_ladders_own() -> None:
    with pytest.raises(UserError, match="give no budget of its own"):
        sa.forecast(tokens=1000)
    request = ForecastRequest()
    made = request.rung(6_000, 60_000, runs=Path("r"), name="n")
    assert (made.size.params, made.training.budget.tokens) == (6_000, 60_000)
    assert not made.search.further_seeds
    assert made.search.repeats == 0
    assert made.search.widen
    fixed = request.rung(6_000, 60_000, runs=Path("r"), name="n", models=("gru",), rates=(0.01,),
                         widens=False)  # fmt: skip
    assert fixed.search.rates == (0.01,)
    assert fixed.search.widen == 0
    assert fixed.lineup.models == ("gru",)
    assert fixed.search.seeds == made.search.seeds


def test_predictions_are_named_by_their_hash_and_kept(tmp_path: Path) -> None:
    ladder = planted()
    found = forecast(ladder, target_of("10x", ladder))
    write_forecast(tmp_path, found, command="seqarena forecast", choices=[])
    first = write_predictions(tmp_path, found)
    assert first.path.stem == first.sha256
    assert write_predictions(tmp_path, found) == first  # with the time of the first writing
    other = forecast(ladder, target_of("20x", ladder))
    assert write_predictions(tmp_path, other).sha256 != first.sha256
    assert len(stored_predictions(tmp_path)) == 2
    assert read_forecast(tmp_path).sha256 == first.sha256
    text = first.path.read_text(encoding="utf-8")
    first.path.write_text(text.replace('"told": true', '"told": false', 1), encoding="utf-8")
    with pytest.raises(UserError, match="changed after it was written"):
        stored_predictions(tmp_path)
    shutil.rmtree(tmp_path / "predictions")
    assert read_forecast(tmp_path).sha256 == ""


def view_of(tmp_path: Path) -> ForecastView:
    """A forecast of planted laws, verified by them."""
    ladder = planted()
    found = forecast(ladder, target_of("10x", ladder))
    write_forecast(tmp_path, found, command="seqarena forecast <b>.txt", choices=["a choice"])
    stored = write_predictions(tmp_path, found)
    truth = planted(sizes=(found.target.params, 10**6), seed=1).rungs[0]
    write_verification(tmp_path, verified(stored, [truth], ["folder"]))
    return read_forecast(tmp_path)


def test_a_verification_scores_what_was_written(tmp_path: Path) -> None:
    view = view_of(tmp_path)
    found = view.verification
    assert found is not None
    assert len(found.pairs) == 15
    for one in found.pairs:
        better, worse = (LAWS[name] for name in (one.prediction.better, one.prediction.worse))
        truth = worse.at(316_228) - better.at(316_228)
        assert one.gap == pytest.approx(truth, abs=0.02)
        assert one.right == (one.gap > 0)
        outcome = float(one.gap > 0)
        assert one.squared_error == pytest.approx((one.prediction.probability - outcome) ** 2)
    assert all(one.prediction.told for one in found.told)
    # predictions of another target are not scored by it
    other = forecast(view.forecast.ladder, target_of("20x", view.forecast.ladder))
    write_forecast(tmp_path, other, command="", choices=[])
    write_predictions(tmp_path, other)
    assert read_forecast(tmp_path).verification is None


def test_the_page_says_the_decision_and_escapes_names(tmp_path: Path) -> None:
    view = view_of(tmp_path)
    html = render_forecast(view)
    assert "attention" in html
    assert "Scored at the target" in html
    assert "seqarena forecast &lt;b&gt;.txt" in html
    assert view.sha256 in html
    assert html.count('class="plot"') == 2
    bare = render_forecast(view.model_copy(update={"verification": None}))
    assert "Scored at the target" not in bare


def test_the_decision_is_in_plain_names(tmp_path: Path) -> None:
    view = view_of(tmp_path)
    first = view.forecast.architectures[0].architecture
    ladder = view.forecast.ladder.model_copy(update={"titles": {first: "first & best"}})
    forecast = view.forecast.model_copy(update={"ladder": ladder})
    html = render_forecast(view.model_copy(update={"forecast": forecast}))
    assert f"First &amp; best <small>{first}</small>" in html


def rung_plan(folder: Path, seconds: float) -> RungPlan:
    return RungPlan(1_000, 10_000, folder, seconds, ForecastRequest())


def test_the_rungs_that_fit_into_the_time_are_the_smallest(tmp_path: Path) -> None:
    plans = [rung_plan(tmp_path, seconds) for seconds in (10, 20, 40, 80, 160)]
    assert fitting(plans, None) == plans
    assert fitting(plans, 3.0) == plans[:4]
    with pytest.raises(UserError, match=r"pays for 3 rungs of the 4 .* about 2 min 30 s"):
        fitting(plans, 2.0)


@pytest.mark.parametrize(("asked", "tried"), [("every-rung", ()), ("narrowed", (0.001, 0.01))])
def test_narrowed_rates_are_the_chosen_ones_and_the_next_lower(
    folders: list[Path], asked: str, tried: tuple[float, ...]
) -> None:
    request = ForecastRequest(
        ladder=LadderRequest(rates_at=asked),
        search=SearchRequest(learning_rates=(1e-4, 0.001, 0.01, 0.1)),
    )
    said: list[str] = []
    below = [rung_plan(folder, 0.0) for folder in folders[:2]]  # 0.01 is what they chose
    assert next_rates(request, below, said.append) == tried
    assert next_rates(request, below[:1], said.append) == ()  # two rungs try all
    assert len(said) == bool(tried)
