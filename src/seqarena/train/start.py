"""Where a training starts that does not begin at random.

Fine-tuning: a model whose body is that of a trained one and whose head is fresh (Devlin et al.
2018, section 3.2). Going on: the whole model with the optimizer's moments, for a further budget
with a warm-up and a fall of its own. Tuning by LoRA (lora.py): either of them with the body frozen,
and low-rank updates of its matrices trained beside what is fresh.

The body is every tensor outside the modules that the model's class calls `head_modules`; it keeps
the sizes of the run that it comes from. What the task adds to a body (vectors of a second sentence,
say) is fresh as well. Both lists are part of the plan and of every trial.
"""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from seqarena.core.batch import Problem
from seqarena.core.config import Config
from seqarena.core.errors import UserError
from seqarena.models.any import AnyConfig, build_model
from seqarena.models.lora import Adapters, adapt, plan_adapters
from seqarena.models.model import Model, SystemConfig, load_system, too_long
from seqarena.models.stacks.language_model import ModelConfig
from seqarena.tasks.base import Task
from seqarena.train.checkpoint import (
    Checkpoint,
    load,
    load_adapted,
    load_moments,
    load_weights,
    model_tensors,
    resume,
)
from seqarena.train.config import LoraRequest
from seqarena.train.loop import Trainer
from seqarena.train.source import check_reads, is_published, load_source

NO_LORA = LoraRequest()
_VOCABULARIES = (  # of artifacts
    "tokenizer", "vocabulary", "words", "letters", "source", "target", "fields",
)  # fmt: skip


class Start(Config):
    """Where a training starts from. The digest stands for the weights, wherever they lie."""

    checkpoint: str
    architecture: str
    sha256: str  # of the weights
    taken: tuple[str, ...]  # names of tensors
    fresh: tuple[str, ...]
    goes_on: bool = False  # with all weights and the optimizer's moments
    adapters: Adapters | None = None  # of a training by LoRA
    base: str = ""  # the checkpoint whose matrices they are added to
    base_sha256: str = ""

    def words(self) -> str:
        """What is taken and what is not, by module; of LoRA what share is trained."""
        return self._taken_words() + (self._adapted_words() if self.adapters else "")

    def _adapted_words(self) -> str:
        lora = self.adapters
        assert lora is not None
        share = f"{100 * lora.trained / lora.parameters:.2g} %"
        whole = f"; {len(self.fresh)} fresh tensors are trained whole" if self.fresh else ""
        return (
            f"; LoRA: {len(lora.matrices)} of its matrices get an update of "
            f"rank {lora.rank}, scaled by {lora.alpha:g}/{lora.rank}{whole}; {lora.trained:,} of "
            f"{lora.parameters:,} parameters ({share}) are trained, the others stay as they are"
        )

    def _taken_words(self) -> str:
        if self.goes_on:
            return (
                f"goes on from {self.checkpoint}: its weights and the optimizer's moments; the "
                "learning rate warms up and falls once more"
            )
        return (
            f"starts from {self.checkpoint}: {len(self.taken)} tensors are its "
            f"({_modules(self.taken)}), {len(self.fresh)} are fresh "
            f"({_modules(self.fresh) or 'none'})"
        )


def plan_from(
    folder: Path, architecture: str, task: Task, *, goes_on: bool, lora: LoraRequest = NO_LORA
) -> tuple[Start, AnyConfig]:
    """What a training takes from a checkpoint or a published model, and its model's configuration:
    all of it where it `goes_on` or is published, else its body. Raises UserError as these do."""
    if is_published(folder) or (goes_on and lora.rank is not None):
        return plan_tuning(folder, task, lora)
    if goes_on:
        return plan_going_on(folder, task)
    return plan_start(folder, architecture, task, lora)


def plan_start(
    folder: Path, architecture: str, task: Task, lora: LoraRequest = NO_LORA
) -> tuple[Start, AnyConfig]:
    """What a model of `architecture` for `task` takes from a checkpoint, and its configuration.
    With a rank in `lora` the body stays and has adapters.

    Raises UserError for a damaged checkpoint, one of another architecture or vocabulary, one that
    is too short for the task's inputs, and for an architecture without a body that can be taken.
    """
    checkpoint = load(folder)
    if checkpoint.about["architecture"] != architecture:
        raise UserError(
            f"{folder} holds a model named {checkpoint.about['architecture']}: "
            f"leave --model {architecture} out"
        )
    _check_vocabulary(checkpoint, task)
    config = _fitted(checkpoint, task.problem)
    with torch.device("meta"):
        model = build_model(config)
    taken, fresh = divide(model, checkpoint)
    start = Start(
        checkpoint=str(folder),
        architecture=architecture,
        sha256=checkpoint.weights_sha256,
        taken=taken,
        fresh=fresh,
    )
    return _with_adapters(start, model, lora), config


def plan_tuning(folder: Path, task: Task, lora: LoraRequest) -> tuple[Start, AnyConfig]:
    """The same of a model that is tuned with its head, by adapters where `lora` has a rank. Raises
    UserError as `plan_going_on` does, for a model without a matrix to adapt, and for one that ends
    before the task's inputs."""
    start, config = plan_going_on(folder, task)
    with torch.device("meta"):
        model = build_model(config)
    if (model.most_positions or task.problem.max_length) < task.problem.max_length:
        raise too_long(int(model.most_positions or 0), task.problem)
    start = start.model_copy(update={"goes_on": False, "adapters": None, "base": ""})
    return _with_adapters(start, model, lora), config


def plan_going_on(folder: Path, task: Task) -> tuple[Start, AnyConfig]:
    """The same of a model that goes on whole, with its adapters where it has them. Raises UserError
    for a damaged checkpoint and for a task that is not the checkpoint's."""
    checkpoint = load_source(folder)
    config = checkpoint.config()
    check_reads(checkpoint, config, task)
    start = Start(
        checkpoint=str(folder),
        architecture=checkpoint.about["architecture"],
        sha256=checkpoint.weights_sha256,
        taken=tuple(checkpoint.tensors),
        fresh=(),
        goes_on=True,
    )
    before = checkpoint.about.get("start") or {}
    if before.get("adapters"):
        kept = {name: before[name] for name in ("adapters", "base", "base_sha256", "fresh")}
        start = Start(**(start.model_dump() | kept))
        _base_of(start)
    return start, config


def begin(trainer: Trainer, start: Start) -> None:
    """Copies into a trainer's freshly initialised model what it starts with.

    Raises UserError when the weights are not those that were planned with, or do not fit.
    """
    checkpoint = load_source(Path(start.checkpoint))
    if checkpoint.weights_sha256 != start.sha256:
        raise UserError(
            f"the weights in {start.checkpoint} have changed since this training was planned: "
            "plan it anew under another --name"
        )
    model = trainer.model
    if start.goes_on:
        if start.adapters:
            load_adapted(model, checkpoint, _base_of(start))
        else:
            load_weights(model, checkpoint.tensors, checkpoint.path)
        load_moments(trainer, checkpoint.path)
        return
    expected = model_tensors(model)
    with torch.no_grad():
        for name in start.taken:
            expected[name].copy_(checkpoint.tensors[name])


def prepare_model(model: Model, start: Start | None) -> None:
    """What a start changes of a fresh model before it has an optimizer: LoRA freezes all but what
    it trains and adds its updates."""
    if start is not None and start.adapters is not None:
        adapt(model, start.adapters, start.fresh)


def resume_training(trainer: Trainer, directory: Path, start: Start | None) -> bool:
    """Puts the trainer where its own checkpoint stood; False where there is none. Raises UserError
    when it is damaged or of another configuration, or its base is gone."""
    if not resume(trainer, directory):
        return False
    if start is not None and start.adapters is not None:
        load_adapted(trainer.model, load(directory), _base_of(start))
    return True


def _with_adapters(start: Start, model: Model, lora: LoraRequest) -> Start:
    if lora.rank is None:
        return start
    adapters = plan_adapters(model, lora.rank, lora.alpha, lora.layers, start.fresh)
    base = {"base": start.checkpoint, "base_sha256": start.sha256}
    return start.model_copy(update={"adapters": adapters, **base})


def _base_of(start: Start) -> Checkpoint:
    """The checkpoint that adapters are added to. Raises UserError where it is gone or another."""
    checkpoint = load_source(Path(start.base))
    if checkpoint.weights_sha256 != start.base_sha256:
        raise UserError(
            f"the weights in {start.base}, which the adapters are added to, have changed: train "
            "them anew under another --name"
        )
    return checkpoint


def divide(model: Model, checkpoint: Checkpoint) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of the tensors that the model takes, and of those that stay fresh.

    Raises UserError for a model that names no head, and for a tensor of another shape.
    """
    if not model.head_modules:
        raise UserError(
            f"{checkpoint.about['architecture']} cannot start from another run: its parts are made "
            "for one task (a stack of mixers can, and so can bert)"
        )
    taken, fresh = [], []
    for name, target in model_tensors(model).items():
        source = checkpoint.tensors.get(name)
        if name.partition(".")[0] in model.head_modules or source is None:
            fresh.append(name)
            continue
        if source.shape != target.shape:
            raise UserError(
                f"{checkpoint.path} does not fit: {name!r} is {_size(source.shape)} there and "
                f"{_size(target.shape)} here"
            )
        taken.append(name)
    return tuple(taken), tuple(fresh)


def _fitted(checkpoint: Checkpoint, problem: Problem) -> AnyConfig:
    """The checkpoint's configuration, for another problem."""
    fields = checkpoint.about["model"]
    if "system" in fields:
        old = SystemConfig(**fields)
        options = load_system(old.system).options_for(old, problem)
        return SystemConfig(system=old.system, problem=problem, width=old.width, options=options)
    stack = ModelConfig(**fields)
    if stack.positions == "learned" and problem.max_length > stack.max_length:
        raise too_long(stack.max_length, problem)
    same = problem.num_outputs == problem.vocab_size
    return stack.model_copy(
        update={
            "form": problem.form,
            "num_outputs": None if same else problem.num_outputs,
            "num_characters": problem.num_characters,
            "num_segments": problem.num_segments if problem.num_segments == 2 else 0,
        }
    )


def _check_vocabulary(checkpoint: Checkpoint, task: Task) -> None:
    """Rows of an embedding mean what they meant only under the same vocabulary."""
    theirs: dict[str, Any] = checkpoint.about["artifacts"]
    mine = task.artifacts()
    kind = checkpoint.about["task"]["kind"]
    shared = [key for key in _VOCABULARIES if key in mine]
    if any(theirs.get(key) != mine[key] for key in shared) or not (shared or kind == task.name):
        raise UserError(
            f"{checkpoint.path} was trained on task {kind}, and task {task.name} does not read its "
            "inputs by the same vocabulary: start from a run of the same tokenizer and text"
        )


def _modules(names: Iterable[str]) -> str:
    return ", ".join(Counter(name.partition(".")[0] for name in names))


def _size(shape: torch.Size) -> str:
    return " x ".join(map(str, shape)) or "one number"
