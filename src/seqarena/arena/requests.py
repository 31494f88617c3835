"""What a user asks for, as nested data: one field is one option everywhere (core/options.py).

    CompareRequest   every architecture of a line-up under one budget
    TrainRequest     one architecture, larger or longer, or from a trained one

The command line, recipes and `seqarena.compare` build these; a plan holds the same objects. No
torch in here, so that `--help` is quick.
"""

from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import model_validator

from seqarena.core.architecture import Architecture
from seqarena.core.config import Config
from seqarena.core.errors import UserError, unknown_name
from seqarena.core.names import check_folder_name, folder_name
from seqarena.core.options import (
    Count,
    Names,
    Number,
    Numbers,
    PathText,
    Settings,
    Texts,
    TextsByKey,
    knob,
    preset,
    typed,
)
from seqarena.core.user_code import allow, is_own
from seqarena.models.catalog import CATALOG, LINEUP, architecture, yours
from seqarena.tasks.configs import TaskConfig
from seqarena.tasks.registry import parse_task, takes, task_row
from seqarena.train.config import LoraRequest, OptimizerConfig, TrainingRequest

DEFAULT_PARAMS = 100_000
_LEADER_SEEDS = 5
TRACKER_NAMES = ("tensorboard", "mlflow", "wandb")  # see engine/tracking
_ENOUGH_SEEDS = 3  # fewer are a quick look


class TaskRequest(Config):
    """What is asked of the models, and on which data."""

    kind: str = knob("language", "What is asked: seqarena tasks lists them.", flag="task")
    data: PathText | None = knob(
        None,
        "A file, a folder or a pattern: texts, tables, recordings, pictures (docs/formats.md). "
        "Without it: the task's own data, for language the reference that comes with Python.",
    )
    tokenizer: str | None = knob(
        None, "byte, char, word or bpe:N, as the task has it; of language a tokenizer.json."
    )
    sequence_length: Count | None = knob(None, "Tokens in a training sequence [64].", flag="length")
    drop_overlap: bool = knob(False, "Leave out of training what validation or test hold too.")
    settings: TextsByKey = knob({}, "A setting of the task, key=value. Repeatable.", option="--set")

    def config(self, **more: Any) -> TaskConfig:
        """The task's configuration. Raises UserError for a setting that it does not have."""
        if is_own(self.kind):
            allow(self.kind)
        settings = typed(task_row(self.kind).config, self.settings)
        fields: dict[str, Any] = {"kind": self.kind, **settings, **more}
        for name in ("data", "tokenizer", "sequence_length"):
            value = getattr(self, name)
            if value is None:
                continue
            if not takes(self.kind, name):
                raise UserError(
                    f"task {self.kind} has no {name.replace('_', ' ')}: set it with --set"
                )
            if name in fields:
                raise UserError(f"{name} is given twice, by an option of its own and by --set")
            fields[name] = value
        if self.drop_overlap:
            if not takes(self.kind, "drop_overlap"):
                raise UserError(f"task {self.kind} reads no splits that could overlap")
            fields["drop_overlap"] = True
        return parse_task(fields)


class LineupRequest(Config):
    """Which architectures enter."""

    models: Names | None = knob(
        None,
        "lstm,gru,... or all; gru:attention@3:1 is a hybrid of 3 layers of gru to 1 of attention, "
        "bi:gru reads both ways. Default: the line-up of 15.",
    )
    mixer: Texts = knob((), "Your own mixer, [LABEL=]my_file.py:MyMixer. Repeatable.")

    def rows(self) -> list[Architecture]:
        """Their rows of the catalog. Raises UserError for an unknown name."""
        wanted = self.models if self.models is not None else () if self.mixer else LINEUP
        if wanted == ("all",):
            wanted = tuple(CATALOG)
        return [architecture(name) for name in wanted] + [own_row(mixer) for mixer in self.mixer]


class SizeRequest(Config):
    """How large every model is: the same number of parameters, or the same width."""

    params: Count | None = knob(
        None, "Parameters of every model, to within 1 %: 100k, 1M. Default: 100k."
    )
    width: int | None = knob(None, "The same width instead of the same --params.", ge=1, le=10**6)
    depth: int | None = knob(
        None,
        "Layers. Default: follows from --params; a hybrid has its pattern whole.",
        ge=1,
        le=10**4,
    )
    dropout: float = knob(0.0, "Share of activations that training sets to zero.", ge=0, le=0.99)
    short_convolution: int = knob(
        0, "Taps of a causal convolution before every mixer: 4 as published; 0: none.", ge=0, le=64
    )

    @model_validator(mode="after")
    def _one_size(self) -> Self:
        if self.params is not None and self.width is not None:
            raise UserError("give either --params or --width, and not both")
        return self

    @property
    def target_params(self) -> int | None:
        """The number of parameters to solve for; None where the width is given."""
        return self.params or (None if self.width else DEFAULT_PARAMS)


class SearchRequest(Config):
    """What is varied from trial to trial, the same for every architecture."""

    learning_rates: Numbers = knob(
        (2e-3, 6e-3, 2e-2), "Learning rates tried, chosen on validation.", flag="rates"
    )
    widen: int = knob(
        4, "Further rates tried while an architecture's best is at the edge of --rates.",
        ge=0, le=100,
    )  # fmt: skip
    num_seeds: int = knob(3, "Seeds at the chosen rate.", flag="seeds", ge=1, le=10**4)
    leader_seeds: int | None = knob(
        None, "Seeds of those that tie for the lead. Default: 5, with --seeds 3 or more.",
        ge=1, le=10**4,
    )  # fmt: skip
    first_seed: int = knob(0, "The first of them.", ge=0, le=2**62)
    repeats: int = knob(1, "Runs of one trial once more, to see that runs repeat.", ge=0, le=10**4)
    until_decided: bool = knob(
        False,
        "Run more seeds of those that tie for the lead until there is a winner, or until it is "
        "plain that seeds cannot find one.",
    )

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(range(self.first_seed, self.first_seed + self.num_seeds))

    @property
    def further_seeds(self) -> tuple[int, ...]:
        """Those that only the architectures that tie for the lead run; none without seed noise."""
        most = self.leader_seeds or (_LEADER_SEEDS if self.num_seeds >= _ENOUGH_SEEDS else 0)
        if self.num_seeds == 1:
            return ()
        return tuple(range(self.first_seed + self.num_seeds, self.first_seed + most))

    @property
    def rates(self) -> tuple[float, ...]:
        """The learning rates in order, each once."""
        return tuple(sorted(set(self.learning_rates)))

    @model_validator(mode="after")
    def _some_rate(self) -> Self:
        if not self.learning_rates:
            raise UserError("give at least one learning rate")
        return self

    @model_validator(mode="after")
    def _seed_noise(self) -> Self:
        if self.until_decided and self.num_seeds == 1:
            raise UserError("--until-decided measures the noise of seeds: give --seeds 2 or more")
        return self


class RunRequest(Config):
    """Where it runs and where its records go."""

    jobs: int | None = knob(None, "Trials at a time [as many as --threads].", ge=1, le=10**4)
    threads: int | None = knob(
        None,
        "Cores to use in all: trials share them, costs are measured with as many threads. Default: "
        "OMP_NUM_THREADS, else every core that the process may use.",
        ge=1, le=1024,
    )  # fmt: skip
    device: str = knob("auto", "auto, cpu, cuda or cuda:N.")
    dtype: str = knob("auto", "auto, float32, bfloat16 or float64.")
    products: Literal["auto", "blas", "onednn"] = knob(
        "auto",
        "Who multiplies float32 matrices on the CPU: blas or onednn. Default: onednn where it is "
        "found faster and as exact.",
    )
    name: str | None = knob(None, "The run folder's name. Default: from the data.")
    runs: Path = knob(Path("runs"), "Where run folders live.")
    yes: bool = knob(False, "Go on without a question where splits overlap.")
    baselines: bool = knob(True, "Compute what a model has to beat before it trains.")
    measure: bool = knob(True, "Measure costs when training is done.")
    track: Names = knob(
        (),
        "Hand every trial to a tracker as it trains: tensorboard, mlflow, wandb (an extra each).",
    )
    trial_timeout: Number | None = knob(
        None,
        "Seconds that a trial may take; one that takes longer counts as hung: it is tried once "
        "more and then marked as failed. Default: no limit.",
    )
    max_minutes: Number | None = knob(
        None,
        "Minutes after which --until-decided starts no further seed. Default: no limit.",
    )

    @model_validator(mode="after")
    def _known_trackers(self) -> Self:
        for name in self.track:
            if name not in TRACKER_NAMES:
                raise unknown_name("tracker", name, TRACKER_NAMES)
        return self

    @model_validator(mode="after")
    def _name_of_a_folder(self) -> Self:
        """The folder stays inside of `runs`."""
        if self.name is not None:
            check_folder_name(self.name, "--name")
        return self


class CompareRequest(Config):
    """Architectures at equal size and cost."""

    hidden: ClassVar[tuple[str, ...]] = ("rate",)  # --rates says it

    task: TaskRequest = TaskRequest()
    lineup: LineupRequest = LineupRequest()
    size: SizeRequest = SizeRequest()
    training: TrainingRequest = TrainingRequest()
    search: SearchRequest = SearchRequest()
    run: RunRequest = RunRequest()

    @model_validator(mode="after")
    def _limit_of_what(self) -> Self:
        if self.run.max_minutes is not None and not self.search.until_decided:
            raise UserError("--max-minutes limits --until-decided: give both, or neither")
        return self


class TrainRequest(Config):
    """One architecture; its name, its sizes and its options may come from a trained one."""

    hidden: ClassVar[tuple[str, ...]] = ("jobs", "measure", "trial_timeout", "max_minutes")

    task: TaskRequest = TaskRequest()
    model: str | None = knob(
        None, "An architecture of the catalog [attention, or that of --start-from]."
    )
    mixer: str | None = knob(None, "Your own mixer instead, my_file.py:MyMixer.")
    option: Settings = knob({}, "An option of the mixer, key=value. Repeatable.")
    from_run: PathText | None = knob(
        None,
        "Train on: a run or a forecast, or FOLDER:ARCHITECTURE, whose data, settings and learning "
        "rate are taken over; give the new --params, --tokens or both.",
        option="--from",
    )
    resume: bool = knob(
        False, "With --from: go on with its weights and optimizer, for a further budget."
    )
    start_from: Path | None = knob(
        None,
        "Fine-tune: a run or checkpoint whose model gives all but the head, and its tokenizer to "
        "task classification; or a folder of transformers, whose whole model and tokenizer.json go "
        "on with task language.",
    )
    lora: LoraRequest = LoraRequest()
    size: SizeRequest = SizeRequest()
    training: TrainingRequest = preset(
        TrainingRequest(optimizer=preset(OptimizerConfig(learning_rate=6e-3)))
    )
    trust_code: bool = knob(
        False, "Run the code of your own that --start-from names, where its digest is the recorded."
    )
    seed: int = knob(0, "Of the weights, the batches and the dropout.", ge=0, le=2**62)
    run: RunRequest = RunRequest()

    @property
    def lineup(self) -> LineupRequest:
        """The one architecture, as a comparison names it."""
        if self.mixer is not None:
            return LineupRequest(mixer=(self.mixer,))
        return LineupRequest(models=(self.model or "attention",))

    def comparison(self, name: str) -> CompareRequest:
        """The comparison of this one model: one rate, one seed, one job."""
        return CompareRequest(
            task=self.task,
            lineup=self.lineup,
            size=self.size,
            training=self.training,
            search=SearchRequest(
                learning_rates=(self.training.optimizer.learning_rate,),
                num_seeds=1,
                first_seed=self.seed,
                repeats=0,
            ),
            run=RunRequest(
                **{**dict(self.run), "name": self.run.name or folder_name(name), "jobs": 1}
            ),
        )


def own_row(mixer: str) -> Architecture:
    """The row of a user's own mixer, `[LABEL=]my_file.py:MyMixer`, whose code may run from now on.

    Raises UserError for a label that cannot be part of a folder's name, and for a missing file.
    """
    label, equals, place = mixer.rpartition("=")
    if equals:
        check_folder_name(label, "the label of --mixer")
    allow(place)
    return yours(own_name(mixer), place)


def own_name(mixer: str) -> str:
    """What a user's own mixer is called: its label, or its class in small letters."""
    label, equals, place = mixer.rpartition("=")
    return label if equals else place.rpartition(":")[2].lower()
