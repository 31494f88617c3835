"""Nested requests as flat options: one field is one flag, one recipe key, one keyword."""

import pytest
from typer.testing import CliRunner

from seqarena.arena.plan import Plan, Trial
from seqarena.arena.requests import CompareRequest, TrainRequest
from seqarena.cli import app
from seqarena.cli.derive import verb_of
from seqarena.core.errors import UserError
from seqarena.core.options import build, command_line, flags, given_options, knob, typed
from seqarena.tasks.configs import ClassificationConfig, LanguageConfig, MQARConfig, SpeechConfig
from seqarena.train.budget import Budget
from seqarena.train.config import TrainConfig, TrainingRequest


def test_texts_and_values_give_the_same_request() -> None:
    texts = {"params": "100k", "tokens": "1M", "rates": "1e-3,3e-3", "models": "gru, lstm"}
    values = {"params": 100_000, "tokens": 1_000_000, "rates": (1e-3, 3e-3),
              "models": ("gru", "lstm")}  # fmt: skip
    assert build(CompareRequest, texts) == build(CompareRequest, values)
    assert build(CompareRequest, texts).training.budget == Budget(tokens=1_000_000)


def test_one_budget_replaces_the_default_and_two_are_refused() -> None:
    assert build(CompareRequest, {"steps": 5}).training.budget == Budget(steps=5)
    with pytest.raises(UserError, match="exactly one budget"):
        build(CompareRequest, {"steps": 5, "tokens": "1k"})


def test_a_default_of_the_request_goes_before_that_of_the_field() -> None:
    assert build(TrainRequest, {"steps": 5}).training.optimizer.learning_rate == 6e-3
    assert build(TrainRequest, {"rate": "1e-2"}).training.optimizer.learning_rate == 1e-2
    assert build(TrainRequest, {"clip": 2}).training.optimizer.learning_rate == 6e-3


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"parms": "1k"}, "unknown option 'parms': did you mean params"),
        ({"params": "many"}, "--params 'many': is not a number: write it as 200k, 1M or 2e6"),
        ({"params": "-3"}, "--params '-3': must be positive"),
        ({"seeds": 0}, "--seeds 0: input should be greater than or equal to 1"),
        ({"schedule": "cosin"}, "unknown schedule 'cosin': did you mean cosine"),
        ({"settings": ["length"]}, "--set ['length']: write it as key=value"),
        ({"params": 9, "width": 9}, "give either --params or --width"),
        ({"name": "../outside"}, "give the name of a folder inside of runs"),
        ({"name": "a" * 300}, "longer than 200 bytes"),
    ],
)
def test_mistakes_are_one_line(options: dict[str, object], words: str) -> None:
    with pytest.raises(UserError) as caught:
        build(CompareRequest, options)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_command_of_a_request_makes_it_again() -> None:
    options = {
        "data": "my text.txt", "models": "gru,lstm", "mixer": ("a.py:A", "b=b.py:B"),
        "rates": (1e-3, 2e-2), "settings": {"length": 3, "words": "a b"}, "measure": False,
        "tokens": 2000, "first_seed": 3,
    }  # fmt: skip
    request = build(CompareRequest, options)
    words = command_line("compare", request, positional=("data",))
    assert words == (
        "seqarena compare 'my text.txt' --set length=3 --set 'words=a b' --models gru,lstm "
        "--mixer a.py:A --mixer b=b.py:B --tokens 2000 --rates 0.001,0.02 --first-seed 3 "
        "--no-measure"
    )
    assert build(CompareRequest, given_options(request)) == request


def test_every_option_has_help() -> None:
    for kind in (CompareRequest, TrainRequest):
        for flag in flags(kind).values():
            assert flag.description.endswith((".", "]")), flag.name


def test_a_training_knob_is_one_field(monkeypatch: pytest.MonkeyPatch) -> None:
    """A field that is planted is an option of the command line, a recipe key, a keyword of Python
    and a part of every trial, with no other edit."""

    class WithMomentum(TrainingRequest):
        momentum: float = knob(0.9, "Share of the last step.", ge=0)

    class Planted(CompareRequest):
        training: WithMomentum = WithMomentum()

    request = build(Planted, {"momentum": "0.5"})
    assert request.training.momentum == 0.5
    assert "--momentum 0.5" in command_line("compare", request)
    asked: list[dict[str, object]] = []
    verb = verb_of(Planted, lambda given: asked.append(given), name="planted", argument="data")
    shown = app.registered_commands[:]
    monkeypatch.setattr(app, "registered_commands", shown)
    app.command("planted")(verb)
    told = CliRunner().invoke(app, ["planted", "--help"])
    assert "--momentum" in told.output
    assert "Share of the last step. [0.9]" in " ".join(told.output.split())
    assert CliRunner().invoke(app, ["planted", "--momentum", "0.5"]).exit_code == 0
    assert asked == [{"momentum": "0.5"}]


def test_plan_and_trial_hold_the_objects_of_the_request() -> None:
    own = CompareRequest.model_fields
    for name in ("size", "training", "search"):
        assert Plan.model_fields[name].annotation is own[name].annotation
    assert Trial.model_fields["training"].annotation is TrainConfig
    assert issubclass(TrainConfig, TrainingRequest)


def test_a_setting_is_read_as_its_field_declares() -> None:
    """A text field takes 0, true and 1e3 as texts; other fields what they mean; null is none."""
    given = typed(
        ClassificationConfig,
        {
            "text": "0",
            "label": "true",
            "text_pair": "null",
            "max_length": "99",
            "lowercase": "false",
        },
    )
    assert given == {
        "text": "0", "label": "true", "text_pair": None, "max_length": 99, "lowercase": False
    }  # fmt: skip
    assert typed(ClassificationConfig, {"text": '"0"', "encoding": "none"}) == {
        "text": '"0"', "encoding": "none"
    }  # fmt: skip
    assert typed(SpeechConfig, {"test_index": "3", "validation_index": "0-4"}) == {
        "test_index": 3, "validation_index": "0-4"
    }  # fmt: skip
    assert typed(MQARConfig, {"grid": "[[64, 4]]"}) == {"grid": [[64, 4]]}
    assert typed(LanguageConfig, {"test_fraction": "validation"}) == {"test_fraction": "validation"}
    assert typed(LanguageConfig, {"sequence_length": 8, "unknown": "1"}) == {
        "sequence_length": 8, "unknown": "1"
    }  # fmt: skip
    request = build(CompareRequest, {"task": "classification", "settings": ["text=0", "label=1"]})
    assert request.task.config().model_dump(include={"text", "label"}) == {
        "text": "0",
        "label": "1",
    }
    again = build(CompareRequest, given_options(request))
    assert again.task.config() == request.task.config()
    assert "--set text=0 --set label=1" in command_line("compare", request)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"clip": "1e400"}, "--clip '1e400': input should be a finite number"),
        ({"dropout": "nan"}, "--dropout 'nan': input should be a finite number"),
        ({"settings": ["validation_fraction=1e400"]}, "should be a finite number"),
        ({"settings": ["test_fraction=NaN"]}, "test_fraction is nan: it must be between 0 and 1"),
        ({"settings": ["tokenizer=byte"], "tokenizer": "char"}, "tokenizer is given twice"),
    ],
)
def test_numbers_that_are_none_and_doubles_are_refused(
    options: dict[str, object], words: str
) -> None:
    with pytest.raises(UserError) as caught:
        build(CompareRequest, options).task.config()
    assert words in str(caught.value)
