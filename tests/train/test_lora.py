"""LoRA: what is trained, what stays, and that the merged model is the one that was trained."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn
from typer.testing import CliRunner, Result

from seqarena.arena.folder import RunFolder
from seqarena.arena.plan import Trial
from seqarena.arena.trial import build_trainer, run_trial
from seqarena.cli import app
from seqarena.core.errors import UserError
from seqarena.core.results.lines import verified
from seqarena.jobs.job import Stopped
from seqarena.models.build import build
from seqarena.models.lora import adapt, adapter_tensors, merged, plan_adapters, updates
from seqarena.models.model import Model
from seqarena.tasks.prepared import load_prepared
from seqarena.tasks.registry import parse_task
from seqarena.train import checkpoint
from seqarena.train.start import begin

SENTENCES = "pos a good film\nneg a bad film\npos good, good\nneg never a film\n"
SMALL = ("--batch", "2", "--length", "16", "--no-baselines")
NAMES = ("attention", "gru", "mamba")


def call(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def model_of(name: str, width: int = 16) -> Model:
    return build(name, vocab_size=30, width=width, depth=1, seed=0)


def adapted(name: str, rank: int = 2, **options: Any) -> Model:
    """With random factors, so that no update is nothing."""
    model = model_of(name)
    adapt(model, plan_adapters(model, rank, **options))
    torch.manual_seed(1)
    for _, update in updates(model):
        nn.init.normal_(update.B_NR)
    return model.eval()


def answer(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(torch.arange(20).reshape(2, 10))[0]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A comparison of two steps."""
    runs = tmp_path_factory.mktemp("runs")
    result = call("compare", "--models", ",".join(NAMES), "--width", 16, "--steps", 2, *SMALL,
                  "--rates", "1e-2", "--widen", 0, "--seeds", 1, "--repeats", 0, "--no-measure",
                  "--runs", runs, "--name", "base")  # fmt: skip
    assert result.exit_code == 0, result.output
    return runs / "base"


def tuned(base: Path, runs: Path, *more: object, model: str = "attention") -> Path:
    result = call("train", "--from", f"{base}:{model}", "--lora", 2, "--batch", 2, "--steps", 6,
                  "--no-baselines", "--runs", runs, "--name", "tuned", *more)  # fmt: skip
    assert result.exit_code == 0, result.output
    return runs / "tuned"


def trial_of(run: Path) -> tuple[Trial, Path]:
    (path,) = run.glob("trials/*")
    return Trial.model_validate_json(verified((path / "trial.json").read_text())), path


def test_an_update_is_what_the_paper_writes() -> None:
    """W x + (alpha / r) B (A x), the product taken after and not before."""
    model = adapted("attention", rank=3, alpha=6.0).double()
    layer = model.stack.blocks[0].channel_mixer.expand  # pyright: ignore
    (update,) = [
        one for name, one in updates(model) if name.endswith("channel_mixer.expand.weight")
    ]
    original = layer.parametrizations.weight.original
    x = torch.randn(5, 16, dtype=torch.float64)
    expected = F.linear(x, original, layer.bias) + 2.0 * (x @ update.A_RM.mT) @ update.B_NR.mT
    torch.testing.assert_close(layer(x), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_it_begins_as_the_model_that_it_tunes(name: str) -> None:
    model = model_of(name).eval()
    before = answer(model)
    adapt(model, plan_adapters(model, 2))
    assert torch.equal(answer(model), before)


@pytest.mark.parametrize("name", NAMES)
def test_the_merged_model_gives_the_same(name: str) -> None:
    model, plain = adapted(name), model_of(name).eval()
    checkpoint.load_weights(plain, merged(model, checkpoint.model_tensors(model)), Path("merged"))
    assert (answer(plain) - answer(model)).abs().max() <= 1e-6
    assert (answer(plain) - answer(model_of(name).eval())).abs().max() > 1e-2


@pytest.mark.parametrize("name", NAMES)
def test_matrices_of_the_body_are_adapted_and_counted(name: str) -> None:
    model = model_of(name)
    plan = plan_adapters(model, 2)
    adapt(model, plan)
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == plan.trained
    assert {name.partition("|")[0] for name in adapter_tensors(model)} == set(plan.matrices)
    expected = {"attention": "projections.inward.weight", "gru": "mixer.recurrent_FE",
                "mamba": "mixer.in_proj.weight"}  # fmt: skip
    assert any(one.endswith(expected[name]) for one in plan.matrices), plan.matrices
    never = ("embedding", "head", "a_log", "norm", "bias")
    assert not [one for one in plan.matrices if any(part in one for part in never)]


def test_layers_can_be_chosen_by_their_names() -> None:
    model = model_of("attention")
    chosen = plan_adapters(model, 2, layers=("channel_mixer",)).matrices
    assert chosen == ("stack.blocks.0.channel_mixer.expand.weight",
                      "stack.blocks.0.channel_mixer.contract.weight")  # fmt: skip
    with pytest.raises(UserError, match="no layer has that in its name; there are channel_mixer"):
        plan_adapters(model, 2, layers=("queries",))
    with pytest.raises(UserError, match="choose a lower rank"):
        plan_adapters(model, 40)


def test_adapters_alone_are_trained(base: Path, tmp_path: Path) -> None:
    run = tuned(base, tmp_path)
    trial, path = trial_of(run)
    assert trial.start is not None
    assert trial.start.adapters is not None
    old = checkpoint.load(Path(trial.start.base))
    new = checkpoint.load(path / "checkpoint")
    moved = {name for name in old.tensors if not torch.equal(old.tensors[name], new.tensors[name])}
    assert moved == set(trial.start.adapters.matrices)
    adapters = load_file(path / "checkpoint" / "adapters.safetensors")
    scale = trial.start.adapters.alpha / trial.start.adapters.rank
    for name in moved:
        update = scale * adapters[f"{name}|B_NR"] @ adapters[f"{name}|A_RM"]
        torch.testing.assert_close(new.tensors[name], old.tensors[name] + update)
    moments = load_file(path / "checkpoint" / "optimizer.safetensors")
    assert {name.partition("|")[0].rpartition(".")[2] for name in moments} == {"A_RM", "B_NR"}


def test_what_share_is_trained_is_said(base: Path, tmp_path: Path) -> None:
    result = call("train", "--from", f"{base}:attention", "--lora", 2, "--steps", 1, "--dry-run",
                  "--runs", tmp_path)  # fmt: skip
    assert "LoRA: 8 of its matrices get an update of rank 2, scaled by 2/2; " in result.output
    assert "are trained, the others stay as they are" in result.output


def test_the_tuned_model_is_used_as_any_other(base: Path, tmp_path: Path) -> None:
    run = tuned(base, tmp_path, model="gru")
    assert call("generate", run, "--count", 5).exit_code == 0
    assert call("evaluate", run).exit_code == 0
    trial, path = trial_of(run)
    trainer = build_trainer(trial, load_prepared(parse_task(trial.task), trial.task_digest, None))
    assert trial.start is not None
    begin(trainer, trial.start)
    checkpoint.load_adapted(
        trainer.model,
        checkpoint.load(path / "checkpoint"),
        checkpoint.load(Path(trial.start.base)),
    )
    plain = checkpoint.load(path / "checkpoint").model()
    assert not [name for name, _ in plain.named_parameters() if "parametrizations" in name]
    assert (answer(plain) - answer(trainer.model.eval())).abs().max() <= 1e-6


def test_a_stopped_training_goes_on_exactly(base: Path, tmp_path: Path) -> None:
    trial, path = trial_of(tuned(base, tmp_path))
    seen = []

    def watch(progress: Any) -> bool:
        seen.append(progress)
        return len(seen) != 3

    with pytest.raises(Stopped):
        run_trial(trial, tmp_path / "again", watch=watch)
    run_trial(trial, tmp_path / "again")
    for name in ("model", "adapters", "optimizer"):
        file = f"checkpoint/{name}.safetensors"
        whole, parts = load_file(path / file), load_file(tmp_path / "again" / file)
        assert whole.keys() == parts.keys()
        assert all(torch.equal(whole[key], parts[key]) for key in whole), name


def test_it_goes_on_with_its_adapters(base: Path, tmp_path: Path) -> None:
    run = tuned(base, tmp_path)
    _, path = trial_of(run)
    result = call("train", "--from", run, "--resume", "--steps", 1, "--rate", "1e-30", "--runs",
                  tmp_path, "--name", "on", "--no-baselines")  # fmt: skip
    assert result.exit_code == 0, result.output
    trial, further = trial_of(tmp_path / "on")
    first, _ = trial_of(run)
    assert trial.start is not None
    assert first.start is not None
    assert trial.start.base == first.start.base
    for name in ("model", "adapters"):
        file = f"checkpoint/{name}.safetensors"
        old, new = load_file(path / file), load_file(further / file)
        for key, tensor in old.items():
            torch.testing.assert_close(new[key], tensor, rtol=0, atol=1e-20)
    moments = load_file(further / "checkpoint" / "optimizer.safetensors")
    assert {float(x) for name, x in moments.items() if name.endswith("|step")} == {7.0}


def test_without_its_base_it_cannot_go_on(base: Path, tmp_path: Path) -> None:
    run = tuned(base, tmp_path)
    _, path = trial_of(run)
    place = path / "checkpoint" / "about.json"
    about = json.loads(place.read_text())
    about["start"]["base_sha256"] = "0" * 64
    place.write_text(json.dumps(about))
    manifest = json.loads((path / "checkpoint" / "manifest.json").read_text())
    manifest["about.json"] = checkpoint._sha256(place)
    (path / "checkpoint" / "manifest.json").write_text(json.dumps(manifest))
    result = call("train", "--from", run, "--resume", "--steps", 1, "--runs", tmp_path)
    assert result.exit_code == 2
    assert "which the adapters are added to, have changed" in result.output


def test_a_damaged_adapter_is_found(base: Path, tmp_path: Path) -> None:
    _, path = trial_of(tuned(base, tmp_path))
    file = path / "checkpoint" / "adapters.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(UserError, match=r"adapters\.safetensors is damaged"):
        checkpoint.load(path / "checkpoint")


def test_a_fresh_head_is_trained_whole_over_an_adapted_body(base: Path, tmp_path: Path) -> None:
    (tmp_path / "sentences").mkdir()
    for name in ("train", "dev", "test"):
        (tmp_path / "sentences" / f"{name}.txt").write_text(SENTENCES)
    result = call("train", tmp_path / "sentences", "--task", "classification", "--start-from", base,
                  "--model", "gru", "--lora", 2, "--steps", 3, "--no-baselines", "--runs", tmp_path,
                  "--name", "labels", "--yes")  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "fresh tensors are trained whole" in result.output
    trial, path = trial_of(tmp_path / "labels")
    assert trial.start is not None
    assert trial.start.adapters is not None
    old, new = checkpoint.load(Path(trial.start.base)), checkpoint.load(path / "checkpoint")
    moved = {name for name in trial.start.taken
             if not torch.equal(old.tensors[name], new.tensors[name])}  # fmt: skip
    assert moved == set(trial.start.adapters.matrices)
    moments = load_file(path / "checkpoint" / "optimizer.safetensors")
    assert "head.weight|step" in moments
    assert call("predict", tmp_path / "labels", "a good film").exit_code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--lora", "2", "--resume", "--steps", "2"), "leave --lora out"),
        (("--lora", "2", "--params", "9k", "--steps", "2"), "--params is that of the model that"),
        (("--lora-alpha", "2", "--steps", "2"), "belong to --lora"),
        (("--lora", "2"), "say which"),
    ],
)
def test_what_does_not_go_together(base: Path, words: tuple[str, ...], said: str) -> None:
    result = call("train", "--from", base, *words, "--runs", base.parent)
    assert result.exit_code == 2
    assert said in result.output


def test_a_model_to_tune_has_to_be_named(tmp_path: Path) -> None:
    result = call("train", "--lora", "2", "--steps", "2", "--runs", tmp_path)
    assert "name it with --from or --start-from" in result.output


def test_the_plan_says_how_to_run_it_again(base: Path, tmp_path: Path) -> None:
    plan = RunFolder(tuned(base, tmp_path, "--lora-layers", "mixer")).load_plan()
    assert "--lora 2 --lora-layers mixer" in plan.command
