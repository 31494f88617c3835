"""How models are trained, as data. One field here is one knob: of Python, of the command line, of
recipes, of the plan and of every trial. No torch in here."""

from typing import Literal

from seqarena.core.config import Config
from seqarena.core.options import Names, Number, knob, preset
from seqarena.train.budget import Budget


class OptimizerConfig(Config):
    """The optimizer and its schedule; the defaults are those of small GPT-2 style recipes."""

    name: Literal["adamw", "adamax"] = knob("adamw", "adamw or adamax.", flag="optimizer")
    learning_rate: Number = knob(3e-3, "Learning rate at its peak.", flag="rate")
    schedule: Literal["cosine", "constant", "inverse_sqrt"] = knob(
        "cosine", "cosine, inverse_sqrt, or constant (then a linear fall)."
    )
    warmup_fraction: float = knob(
        0.2, "Share of the budget to warm up in.", flag="warmup", ge=0, le=1
    )
    final_ratio: float = knob(0.1, "Last learning rate over the peak.", ge=0)
    decay_fraction: float = knob(
        0.2, "Share of the budget in which the constant schedule falls.", ge=0, le=1
    )
    weight_decay: float = knob(0.1, "Weight decay of matrices.", ge=0)
    beta1: float = knob(0.9, "Decay of the first moment.", ge=0, lt=1)
    beta2: float = knob(0.99, "Decay of the second moment.", ge=0, lt=1)
    clip_norm: float = knob(1.0, "Largest gradient norm; 0: no clipping.", flag="clip", ge=0)
    gradient_noise: float = knob(
        0.0, "Variance of noise on the first gradients: 0.01, 0.3, 1.", ge=0
    )
    gradient_noise_decay: float = knob(
        0.55, "The variance in step t is divided by (1 + t) to this power.", ge=0
    )


class LoraRequest(Config):
    """Fine-tuning by low-rank updates (models/lora.py)."""

    rank: int | None = knob(
        None,
        "With --from or --start-from: fine-tune by LoRA, low-rank updates of this rank of its "
        "frozen matrices.",
        flag="lora",
        ge=1,
    )
    alpha: Number | None = knob(
        None, "Updates are scaled by this over the rank. Default: the rank.", flag="lora_alpha"
    )
    layers: Names = knob(
        (),
        "Only layers with one of these in their names: mixer, channel_mixer. Default: every linear "
        "layer but head and embedding.",
        flag="lora_layers",
    )


class TrainingRequest(Config):
    """What every trial of a comparison has in common."""

    budget: Budget = preset(Budget(tokens=200_000))
    batch_size: int = knob(4, "Sequences in an optimizer step.", flag="batch", ge=1, le=2**20)
    accumulation: int = knob(1, "Pieces that a batch is computed in, to save memory.", ge=1)
    optimizer: OptimizerConfig = OptimizerConfig()
    label_smoothing: float = knob(
        0.0, "Share of each target that is given to all answers alike.", ge=0, le=0.99
    )
    evaluations: int = knob(10, "Evaluations on validation, spread evenly over training.", ge=1)


class TrainConfig(TrainingRequest):
    """One training. Device and dtype are resolved names, not `auto`."""

    seed: int = 0
    device: str = "cpu"
    dtype: str = "float32"
