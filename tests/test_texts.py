"""docs/course/texts.md: the faults of the texts' programs, each shown by a program of ours.

python tests/test_texts.py [NAME ...]        writes what they print into the page again
"""

import contextlib
import inspect
import io
import math
import re
import runpy
import shlex
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
import typer
from typer.testing import CliRunner

from seqarena.cli import app
from seqarena.models.catalog import architecture

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "examples" / "texts"
PAGE = ROOT / "docs" / "course" / "texts.md"
PRINTED = re.compile(r"`python examples/texts/(\w+)\.py` prints:\n\n```text\n(.*?)```", re.DOTALL)
NAMES = sorted(path.stem for path in FOLDER.glob("*.py"))
FASTER: dict[str, dict[str, Any]] = {
    "lstm_text": {"steps": 40},
    "copy_task": {"distances": (9,)},
    "attention_map": {"steps": 20},
    "impact": {"tokens": "2k"},
}


class Shown(NamedTuple):
    """What an example found and printed."""

    finding: Any
    printed: str


def show(name: str, **settings: Any) -> Shown:
    """Runs an example; what it measures is written to a folder that goes away."""
    main = runpy.run_path(str(FOLDER / f"{name}.py"))["main"]
    with tempfile.TemporaryDirectory() as folder, io.StringIO() as out:
        runs = {"runs": folder} if "runs" in inspect.signature(main).parameters else {}
        with contextlib.redirect_stdout(out):
            found = main(**settings, **runs)
        return Shown(found, out.getvalue())


def words(printed: str) -> list[str]:
    """The lines, those that are measured up to their numbers."""
    lines = []
    for line in printed.splitlines():
        if line.startswith("measured"):
            line = re.sub(r"\d+", "#", line.rpartition(":")[0])
        lines.append(line)
    return lines


def finding(name: str) -> Any:
    """What an example finds, once the page is seen to show what it prints."""
    blocks = dict(PRINTED.findall(PAGE.read_text(encoding="utf-8")))
    found, printed = show(name, **FASTER.get(name, {}))
    assert words(blocks[name]) == words(printed)
    return found


def test_each_program_has_its_place_on_the_page_and_in_the_table() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert sorted(dict(PRINTED.findall(text))) == NAMES
    assert sorted(re.findall(r'= finding\("(\w+)"\)', Path(__file__).read_text("utf-8"))) == NAMES
    sections = re.findall(r"^## (.+)$", text, re.MULTILINE)
    places = [section.lower().replace(" ", "-") for section in sections]
    assert re.findall(r"^\| \[[^]]+\]\(#([\w-]+)\) \|", text, re.MULTILINE) == places
    assert len(places) == len(NAMES)


def commands() -> list[str]:
    text = PAGE.read_text(encoding="utf-8")
    return re.findall(r"^    seqarena (.+)$", text, re.MULTILINE) + re.findall(
        r"`seqarena (claims [^`]+)`", text
    )


@pytest.mark.parametrize("command", commands())
def test_each_command_on_the_page_can_be_called(command: str) -> None:
    """Its options and values are parsed, and it names claims and architectures that there are."""
    root: Any = typer.main.get_command(app)
    arguments, context, verb = shlex.split(command), None, root
    while hasattr(verb, "commands"):
        context = typer.Context(verb, parent=context, info_name=verb.name)
        _, verb, arguments = verb.resolve_command(context, arguments)
    verb.make_context(verb.name, arguments, parent=context)
    for names in re.findall(r"--models? (\S+)", command):
        assert [architecture(name).name for name in names.split(",")] == names.split(",")
    if "--only" in command:
        known = CliRunner().invoke(app, ["claims", "--list"]).output
        for name in shlex.split(command)[-1].split(","):
            assert re.search(rf"^{name} ", known, re.MULTILINE)


def test_loss_and_gradient_of_the_network_from_scratch_do_not_belong_together() -> None:
    found = finding("char_rnn")
    assert found.error_of_printed_loss > 0.5
    assert found.error_of_squared_loss < 1e-6
    assert found.program > found.floor > 10 * found.softmax_lower
    assert found.softmax > found.guessing  # at the program's rate the right gradient diverges
    assert not found.prints


@pytest.mark.slow
def test_states_go_to_unrelated_rows_and_letters_are_read_again() -> None:
    found = finding("lstm_text")
    assert found.rows > 200
    assert found.rows_that_follow < 0.02 * found.rows
    assert found.refusal.startswith("Expected hidden[0] size (2, 6")
    assert found.work > 15
    assert abs(found.read_again - found.read_once) < 0.05  # and it hardly matters here


def test_the_faded_gradients_are_powers_of_a_number() -> None:
    found = finding("fading_gradients")
    assert found.slope_of_tanh == 1
    assert math.isclose(found.slope_of_logistic, 0.25)
    assert math.isclose(found.silent_small, 0.5**49)
    assert found.drawn_small < found.driven_small / 1e10
    assert found.driven_large < 1 < found.drawn_large
    assert found.per_step < 1
    assert not found.capped


@pytest.mark.slow
def test_the_race_is_between_unequal_sizes() -> None:
    found = finding("processing_times")
    assert found.transformer_parameters > 4.5 * found.lstm_parameters
    assert found.dropout_is_on
    assert found.works_at_max_len
    assert not found.works_beyond
    assert found.race < min(found.equal_race.values()) / 2


def test_the_square_of_memory_belongs_to_one_form_of_attention() -> None:
    found = finding("memory")
    assert set(found.growth) == {"explicit", "fused"}
    assert found.growth["explicit"] > 3
    assert max(found.growth["fused"], found.lstm_growth) < 2.2
    assert found.ratios["explicit"] > 2 * found.ratios["fused"]
    assert len(set(found.decoding["lstm"])) == 1
    assert found.decoding["attention"][2] == 4 * found.decoding["attention"][0]


def test_the_map_of_attention_is_of_no_words_and_of_no_model() -> None:
    found = finding("attention_map")
    assert found.same_for_nonsense
    assert found.drawn < found.typed
    assert max(found.measured_heads) - min(found.measured_heads) > 0.01  # each head has its own


@pytest.mark.slow
def test_the_accuracies_of_copying_are_formulas() -> None:
    found = finding("copy_task")
    assert not found.depends_on_data
    assert found.drawn_rnn[189] < found.guessing
    assert found.by_hand == 1
    assert found.measured["attention"][9] > 0.95 > max(found.drawn_transformer.values())
    assert found.measured["gru"][9] > found.drawn_rnn[9]


@pytest.mark.slow
def test_the_use_of_a_gpu_is_a_formula_without_the_length() -> None:
    found = finding("gpu_usage")
    assert not found.depends_on_length
    assert found.squares_lead_from == 513
    shares = [share for by_length in found.measured.values() for share in by_length.values()]
    assert len(shares) == 8
    assert all(0 < share < 1.5 for share in shares)


def test_the_timeline_rises_for_any_list_and_ends_too_early() -> None:
    found = finding("timeline")
    assert found.always_rises
    assert found.recurrent > found.after_list > 10
    assert found.convolutions >= 4


@pytest.mark.slow
def test_the_table_of_impact_cannot_be_read_and_mixes_units() -> None:
    found = finding("impact")
    assert found.key_error
    assert found.drawn_150 == -50
    assert found.fewer_bits < found.printed / 2
    assert len(found.citations) == 4
    assert set(found.measured) == {"lstm", "attention"}


def test_the_benchmark_times_random_numbers_and_has_no_attention() -> None:
    found = finding("benchmark")
    assert found.drawn == 1024 * 768 * 768 + 768
    assert found.drawn > 1000 * found.used
    assert found.saturated > 0.9
    assert found.softmaxes == 0
    assert found.growth == 2
    assert found.drawing > 0.5
    assert found.real < found.printed / 2


def test_a_softmax_would_have_been_counted() -> None:
    operations = runpy.run_path(str(FOLDER / "benchmark.py"))["Operations"]
    q_BTD = torch.randn(1, 4, 8)
    with operations() as counted:
        torch.softmax(q_BTD @ q_BTD.mT, -1)
        torch.nn.functional.scaled_dot_product_attention(q_BTD, q_BTD, q_BTD)
    assert counted.softmaxes >= 2


def write(names: list[str]) -> None:
    """Runs the examples as a reader would, and puts what they print on the page."""
    printed = {name: show(name).printed for name in names}

    def block(found: re.Match[str]) -> str:
        kept = printed.get(found[1], found[2])
        return f"`python examples/texts/{found[1]}.py` prints:\n\n```text\n{kept}```"

    PAGE.write_text(PRINTED.sub(block, PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    write(sys.argv[1:] or NAMES)
