"""Every verb of `seqarena measure` on every architecture: curves, or a true reason why not."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from seqarena.cli import app
from seqarena.core.errors import UserError
from seqarena.core.results.measurement import Measurement, Series, read_measurements
from seqarena.measure.calls import Call, Target
from seqarena.models.catalog import CATALOG
from seqarena.models.model import load_system

PICTURES = ("lenet5", "neocognitron")
SCALING = {"lengths": [8], "width": 16, "depth": 1}
SENTENCE = {"text": "the cat sat on the mat", "width": 16}
ATTEND = {
    *("attention", "attention_alibi", "attention_sinusoidal", "attention_learned", "gpt2"),
    *("llama", "attention_experts", "sliding_window", "sparse_attention", "hybrid", "bert"),
    *("self_attention_encoder", "memory_network", "rnnsearch", "luong_dot", "luong_general"),
    *("luong_concat", "transformer", "transformer_modern", "convs2s", "jamba", "samba"),
    *("qwen3_next", "longformer", "bigbird", "attention_sinks", "latent_attention"),
    *("forgetting_attention", "griffin", "mamba_encoder_decoder", "attentive_reader"),
    *("attention_flow", "memory_language_model"),
}
TRAINING = {"steps": 1, "width": 16, "depth": 1, "batch_size": 2, "evaluation_examples": 4}
CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "speed": ("costs.scaling:speed", {**SCALING, "repeats": 1, "seconds": 0.0}),
    "memory": ("costs.scaling:memory", SCALING),
    "utilisation": (
        "costs.scaling:utilisation", {**SCALING, "batch_sizes": [2], "repeats": 1, "seconds": 0.0},
    ),
    "gradient": ("flow.gradient:gradient_flow_series", {"length": 16, "width": 16, "seeds": 1}),
    "reach": ("flow.gradient:receptive_field_series", {"length": 16, "width": 16, "depths": [1]}),
    "recall": ("trained.recall:recall", {**TRAINING, "distances": [2, 3]}),
    "length": (
        "trained.length:length_generalisation", {**TRAINING, "train_length": 8, "factors": [1, 2]},
    ),
    "weights": ("flow.maps:attention_maps", SENTENCE),
    "flow": ("flow.maps:influence_maps", SENTENCE),
}  # fmt: skip


def call(verb: str, name: str, **changes: Any) -> list[Measurement]:
    function, arguments = CALLS[verb]
    job = Call(f"seqarena.measure.{function}", Target(name, name), {**arguments, **changes}).job()
    return job.run(lambda progress: True)


def answers_every_position(name: str) -> bool:
    row = CATALOG[name]
    return row.system is None or "tokens" in load_system(row.system).forms


def writes(name: str) -> bool:
    """Whether it continues a sequence, token by token."""
    row = CATALOG[name]
    forms = ("tokens",) if row.system is None else load_system(row.system).forms
    return "pairs" in forms or (row.causal and "tokens" in forms)


def refusal(verb: str, name: str) -> str | None:
    """Why this one has nothing to measure, known from what the architecture is."""
    if verb in ("speed", "memory", "utilisation") and name in PICTURES:
        return "it reads pictures of 32 x 32 pixels: length 1024"
    if verb in ("recall", "length") and not answers_every_position(name):
        return "this task asks for an answer at every position"
    if verb == "gradient" and name == "neocognitron":
        return "the answer does not depend on the last input"  # a negative number, which is silent
    if verb in ("weights", "flow") and name in PICTURES:
        return "reads numbers and not words"
    if verb == "weights" and name not in ATTEND:
        return "has no attention whose weights could be shown"
    return None


@pytest.mark.parametrize("verb", CALLS)
@pytest.mark.parametrize("name", CATALOG)
def test_every_verb_on_every_architecture(verb: str, name: str) -> None:
    why = refusal(verb, name)
    if why is not None:
        with pytest.raises(UserError, match=why):
            call(verb, name)
        return
    found = call(verb, name)
    assert found
    for one in found:
        assert one.architecture == name
        if isinstance(one, Series):
            assert one.points
            assert all(value >= 0 for point in one.points for value in point.repeats)
        else:
            assert np.allclose(np.sum(one.weights, axis=1), 1)
    lacks = {quantity for one in found for quantity in one.settings.get("not_measured", {})}
    decoding = {"speed": "decode_seconds_per_token", "memory": "state_bytes"}.get(verb)
    assert lacks == ({decoding} if decoding and not writes(name) else set())


@pytest.mark.parametrize("verb", ["speed", "memory"])
def test_lenet_is_measured_at_the_length_that_its_refusal_names(verb: str) -> None:
    (first, *_) = call(verb, "lenet5", lengths=[1024])
    assert isinstance(first, Series)
    assert first.points[0].x == 1024


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two tiny models, as the command line makes it."""
    runs = tmp_path_factory.mktemp("runs")
    words = (
        "compare --models mingru,conv --params 40k --steps 10 --length 32 --seeds 1 --repeats 0 "
        f"--rates 1e-2 --no-measure --jobs 1 --name r --runs {runs}"
    )
    result = CliRunner().invoke(app, words.split())
    assert result.exit_code == 0, result.output
    return runs / "r"


def measured(*words: str) -> str:
    result = CliRunner().invoke(app, ["measure", *words])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_run_is_measured_as_it_was_trained(trained: Path) -> None:
    """Every ranked model, or the one that is named; the records and the page are the run's own."""
    words = ("speed", "--run", str(trained), "--lengths", "8,16,32", "--seconds", "0")
    measured(*words, "--repeats", "1", "--what", "forward")
    measured("gradient", "--run", str(trained), "--model", "conv", "--length", "16")
    found = list(read_measurements(trained / "measurements.jsonl"))
    assert {one.architecture for one in found if one.measurement == "speed"} == {"mingru", "conv"}
    (flow,) = [one for one in found if one.measurement != "speed"]
    assert (flow.architecture, flow.variant) == ("conv", "trained")
    assert "trials" in flow.settings["weights"]
    page = (trained / "report.html").read_text()
    assert "gradient norm" in page.lower()
    assert "bits per byte" in page.lower()  # the comparison still stands on it


def test_a_checkpoint_folder_is_measured_too(trained: Path, tmp_path: Path) -> None:
    place = next(trained.glob("trials/*/checkpoint"))
    output = measured("gradient", "--run", str(place), "--length", "16", "--runs", str(tmp_path))
    assert "trained" in output
    assert (tmp_path / "measurements" / "report.html").exists()


def test_a_users_mixer_stands_beside_the_catalog(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("from seqarena.mixers.minimal.mingru import MinGRU as Mine\n")
    output = measured(
        "memory", "--models", "gru", "--mixer", f"own={tmp_path / 'mine.py'}:Mine",
        "--lengths", "8,16,32", "--width", "16", "--depth", "1", "--runs", str(tmp_path), "--json",
    )  # fmt: skip
    found = json.loads(output)
    assert {one["architecture"] for one in found} == {"gru", "own"}
