"""What can be measured, as data: one class a verb of `seqarena measure`, one field an option.

A class says which measuring function it calls and with which arguments. No torch in here.
"""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator

from seqarena.core.config import Config
from seqarena.core.errors import UserError
from seqarena.core.options import Count, Counts, Names, Numbers, Settings, Texts, knob
from seqarena.measure.flow import SENTENCE


class SubjectRequest(Config):
    """What is measured, in which sizes, and where the records go."""

    models: Names | None = knob(
        None,
        "lstm,gru,... or all; gru:attention@3:1 is a hybrid, bi:gru reads both ways. Default: a "
        "handful that tells most.",
    )
    mixer: Texts = knob((), "Your own mixer, [LABEL=]my_file.py:MyMixer. Repeatable.")
    run: Path | None = knob(None, "A run or checkpoint folder: its trained models, as they are.")
    trust_code: bool = knob(
        False, "Run the code of your own that --run names, where its digest is the recorded one."
    )
    model: str | None = knob(None, "Which architecture of --run. Default: every ranked one.")
    width: int | None = knob(None, "Width of every model [64; of reach 32].", ge=1)
    params: Count | None = knob(None, "The same number of parameters instead: 100k.")
    depth: int | None = knob(
        None, "Layers of every model; of a hybrid at least its pattern.", ge=1, le=10_000
    )
    option: Settings = knob({}, "An option of every mixer, key=value. Repeatable.")
    short_convolution: int = knob(
        0, "Taps of a causal convolution before every mixer: 4 as published; 0: none.", ge=0, le=64
    )
    algorithms: Names | None = knob(
        None, "Algorithms side by side, loop,fused,... or all. Default: the fastest."
    )
    threads: int | None = knob(
        None,
        "Threads inside operations. Default: OMP_NUM_THREADS, else every core that the process may "
        "use.",
        ge=1, le=1024,
    )  # fmt: skip
    products: Literal["auto", "blas", "onednn"] = knob(
        "auto", "Who multiplies float32 matrices on the CPU, as in compare."
    )
    out: str | None = knob(None, "Folder of the records [measurements; with --run, the run's own].")
    runs: Path = knob(Path("runs"), "Where run folders live.")

    @property
    def sizes(self) -> dict[str, Any]:
        """The sizes that were given, as measuring functions take them."""
        given = {"width": self.width, "params": self.params, "depth": self.depth}
        given = {name: value for name, value in given.items() if value is not None}
        if "width" in given and "params" in given:
            raise UserError("give --width or --params, not both")
        changed = self.option or self.short_convolution or self.algorithms
        if self.run is not None and (given or changed):
            raise UserError(
                "--run measures a trained model as it is: leave out --width, --params, --depth, "
                "--option, --short-convolution and --algorithms"
            )
        return given

    @property
    def folder(self) -> Path:
        """Where the records go."""
        if self.out is None and self.run is not None and (self.run / "plan.json").exists():
            return self.run
        return self.runs / (self.out or "measurements")

    def variant(self, algorithm: str | None = None) -> dict[str, Any]:
        """`options` and `variant` of one call; nothing where no option was given."""
        chosen = dict(self.option)
        if self.short_convolution:
            chosen["short_convolution"] = self.short_convolution
        if algorithm is not None:
            chosen["algorithm"] = algorithm
        if not chosen:
            return {}
        words = [value if key == "algorithm" else f"{key}={value}" for key, value in chosen.items()]
        return {"options": chosen, "variant": " ".join(str(word) for word in words)}


class MeasureRequest(Config):
    """Abstract: a subclass is one verb. Fields in `renamed` reach the function by another name."""

    functions: ClassVar[tuple[str, ...]]  # package.module:function
    default_models: ClassVar[tuple[str, ...]]
    renamed: ClassVar[dict[str, str]] = {}

    subjects: SubjectRequest = SubjectRequest()

    @property
    def called(self) -> tuple[str, ...]:
        """The measuring functions of this request."""
        return self.functions

    def arguments(self) -> dict[str, Any]:
        """What the measuring functions are called with, JSON values; None is left out."""
        fields = {k: getattr(self, k) for k in type(self).model_fields if k != "subjects"}
        given = {self.renamed.get(k, k): v for k, v in fields.items() if v is not None}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in given.items()}


def _sorted(value: Any) -> Any:
    """Each length once, in order. Raises ValueError where there is none."""
    if not value:
        raise ValueError("names nothing: write it as 64,128")
    return tuple(sorted(set(value)))


SortedCounts = Annotated[Counts, AfterValidator(_sorted)]  # 64,128


class _CostRequest(MeasureRequest):
    """Of verbs that measure what a model costs on a device."""

    device: str = knob("cpu", "auto, cpu, cuda or cuda:N.")
    dtype: str = knob("float32", "auto, float32, bfloat16 or float64.")


class SpeedRequest(_CostRequest):
    """Time the forward pass, the training step and decoding against the length.

    seqarena measure speed --models lstm,attention --algorithms all

    A row is an architecture in one algorithm, a column a length T. `says` is p of time ~ T^p,
    fitted over all lengths, with its 95 % interval, then p over the longer half, and the operations
    a second at the last length as a share of the machine's fastest matrix product.
    """

    functions = ("seqarena.measure.costs.scaling:speed",)
    default_models = ("lstm", "gru", "mingru", "conv", "attention", "mamba")
    renamed = {"batch": "batch_size"}

    lengths: SortedCounts = knob((64, 128, 256, 512, 1024), "Tokens in a sequence, 64,128,...")
    batch: int = knob(1, "Sequences at a time.", ge=1)
    what: Names = knob(
        ("forward", "training", "decoding"), "Of forward, training and decoding, those to time."
    )
    repeats: int = knob(5, "Timings of every point.", ge=1)
    seconds: float = knob(0.5, "Time for one point's repeats.", ge=0)

    def arguments(self) -> dict[str, Any]:
        return {**super().arguments(), "peak": True}


class MemoryRequest(_CostRequest):
    """Count the peak bytes of training and the bytes of the decoding state against the length.

    seqarena measure memory --models attention,lstm --algorithms all

    A row is an architecture in one algorithm, a column a length T; the dim row below it is what
    the formula predicts. `says` is p of bytes ~ T^p: explicit softmax attention keeps all its
    weights and nears 2, its fused form stays at 1.
    """

    functions = ("seqarena.measure.costs.scaling:memory",)
    default_models = ("lstm", "mingru", "attention", "linear_attention", "mamba")
    renamed = {"batch": "batch_size"}

    lengths: SortedCounts = knob((64, 128, 256, 512, 1024), "Tokens in a sequence, 64,128,...")
    batch: int = knob(1, "Sequences at a time.", ge=1)


class UtilisationRequest(_CostRequest):
    """Hold the operations a second of training against the machine's fastest matrix product.

    seqarena measure utilisation --models lstm,attention --batches 1,8,32

    A row is an architecture at one batch size, a column a length; cells are shares of the measured
    peak in per cent. `says` is the largest share and where it is reached.
    """

    functions = ("seqarena.measure.costs.scaling:utilisation",)
    default_models = ("lstm", "mingru", "attention")
    renamed = {"batches": "batch_sizes"}

    lengths: SortedCounts = knob((64, 256, 1024), "Tokens in a sequence, 64,128,...")
    batches: SortedCounts = knob((1, 8, 32), "Sequences at a time, 1,8,...")


class GradientRequest(MeasureRequest):
    """Follow the norm of the gradient back through time: does it vanish, hold or explode?

    seqarena measure gradient --models elman,lstm,attention --of loss

    A row is an architecture, a column the distance k; values are relative to distance 0. `says` is
    lambda of norm ~ lambda^k with its interval, and after how many steps the norm has halved.
    """

    functions = ("seqarena.measure.flow.gradient:gradient_flow_series",)
    default_models = ("elman", "lstm", "gru", "conv", "attention", "mamba")
    renamed = {"radius": "spectral_radius"}

    length: int = knob(128, "Tokens in the sequence.", ge=3)
    of: Literal["loss", "state"] = knob(
        "loss", "loss: d loss_T / d x_(T-k). state: d h_t / d h_(t-k), of recurrences."
    )
    seeds: int = knob(3, "Seeds, each one repeat of every point.", ge=1)
    radius: float | None = knob(
        None, "Scale an Elman network's recurrent matrix to this spectral radius."
    )


class ReachRequest(MeasureRequest):
    """Find how far back one output sees, by replacing one token at a time, at several depths.

    seqarena measure reach --models conv,sliding_window,lstm

    A row is an architecture, a column a number of layers, a cell a number of positions; the dim row
    below is what its layers' own formula says. Without a formula the sequence has 128 positions,
    and 127 means: it sees everything.
    """

    functions = ("seqarena.measure.flow.gradient:receptive_field_series",)
    default_models = ("feed_forward", "conv", "sliding_window", "lstm", "attention")

    depths: SortedCounts = knob((1, 2, 4), "Layers, 1,2,4.")
    length: int | None = knob(
        None, "Tokens in the sequence. Default: one more than the formula's.", ge=2
    )

    def arguments(self) -> dict[str, Any]:
        if self.subjects.depth is not None:
            raise UserError("measure reach asks for several depths: give --depths, not --depth")
        return super().arguments()


class _TrainedRequest(MeasureRequest):
    """Of verbs that train first."""

    renamed = {"rates": "learning_rates", "batch": "batch_size", "settings": "task_settings"}

    steps: int = knob(600, "Steps of each training.", ge=1)
    rates: Numbers = knob((3e-3,), "Learning rates tried, chosen on validation.")
    seeds: int = knob(1, "Seeds, each one repeat of every point.", ge=1)
    batch: int = knob(32, "Sequences in an optimizer step.", ge=1)
    settings: Settings = knob({}, "A setting of the task, key=value. Repeatable.", option="--set")
    device: str = knob("cpu", "auto, cpu, cuda or cuda:N.")

    def arguments(self) -> dict[str, Any]:
        found = {**super().arguments(), "seeds": list(range(self.seeds))}
        if not self.settings:
            del found["task_settings"]
        return found


class RecallRequest(_TrainedRequest):
    """Train for a task of memory at each distance: how far does an architecture remember?

    seqarena measure recall --models elman,lstm,attention --distances 5,10,20,50,100

    A row is an architecture, a column a distance; the dim row is what a guesser without memory
    gets. `says` is the reach: the distance up to which accuracy is 90 % or more.
    """

    functions = ("seqarena.measure.trained.recall:recall",)
    default_models = ("elman", "lstm", "gru", "attention", "mamba")

    task: str = knob("copying", "copying, selective_copying, text_copy, adding or mqar.")
    distances: SortedCounts = knob(
        (5, 10, 20, 50), "How far back; of mqar, how many pairs. 5,10,..."
    )


class LengthRequest(_TrainedRequest):
    """Train at one length and score at longer ones: what carries over?

    seqarena measure length --models lstm,attention --task parity --train-length 16

    A row is an architecture, a column the length that is scored; the dim row is what a guesser
    without memory gets. `says` is the length up to which accuracy is 90 % or more.
    """

    functions = ("seqarena.measure.trained.length:length_generalisation",)
    default_models = ("elman", "lstm", "attention", "mamba")

    task: str = knob(
        "parity",
        "parity, modular_arithmetic, reverse_string, stack_manipulation, bucket_sort, copying, "
        "induction or language.",
    )
    train_length: int = knob(16, "Length that is trained on.", ge=1)
    factors: SortedCounts = knob((1, 2, 4, 16), "Scored at these multiples of it, 1,2,4,16.")


class MapsRequest(MeasureRequest):
    """Draw who looks at whom: attention by layer and head, and for all the flow of information.

    seqarena measure maps --models attention,lstm --text "The cat sat on the mat" --steps 300

    Attention maps are the weights of each head. Information flow is the norm of d y_i / d x_j, rows
    summing to one, which every architecture has: the page shows both on the same axes.
    """

    functions = (
        "seqarena.measure.flow.maps:attention_maps",
        "seqarena.measure.flow.maps:influence_maps",
    )
    default_models = ("attention", "lstm")

    text: str = knob(SENTENCE, "The sentence to look at.")
    steps: int | None = knob(None, "Train so many steps on text first, and show both.", ge=1)

    def arguments(self) -> dict[str, Any]:
        if self.subjects.algorithms is not None:
            raise UserError("an algorithm changes no map: leave out --algorithms")
        if self.steps is not None and self.subjects.run is not None:
            raise UserError("--run has trained its models: leave out --steps")
        return super().arguments()

    @property
    def called(self) -> tuple[str, ...]:
        if self.steps is not None:
            return ("seqarena.measure.flow.maps:maps_of_training",)
        return self.functions


MEASUREMENTS: dict[str, type[MeasureRequest]] = {
    "speed": SpeedRequest,
    "memory": MemoryRequest,
    "utilisation": UtilisationRequest,
    "gradient": GradientRequest,
    "reach": ReachRequest,
    "recall": RecallRequest,
    "length": LengthRequest,
    "maps": MapsRequest,
}
