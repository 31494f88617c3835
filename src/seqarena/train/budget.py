"""How long to train: one of steps, epochs, tokens, floating-point operations or seconds."""

import math
from typing import ClassVar, Self

from pydantic import model_validator

from seqarena.core.config import Config
from seqarena.core.errors import UserError
from seqarena.core.options import Count, Number, knob

_FIELDS = ("steps", "epochs", "tokens", "flops", "seconds")


class Budget(Config):
    """One limit. Steps are optimizer steps; seconds are spent in training alone."""

    exclusive: ClassVar[bool] = True

    steps: Count | None = knob(None, "Budget: optimizer steps.")
    epochs: Number | None = knob(None, "Budget: passes over the training examples.")
    tokens: Count | None = knob(None, "Budget: tokens.")
    flops: Number | None = knob(
        None, "Budget: floating-point operations of training, by the models' own formulas."
    )
    seconds: Number | None = knob(None, "Budget: seconds of training, for each trial.")

    @model_validator(mode="after")
    def _exactly_one_positive(self) -> Self:
        given = {name: getattr(self, name) for name in _FIELDS if getattr(self, name) is not None}
        if len(given) != 1:
            named = ", ".join(given) or "none"
            raise UserError(f"give exactly one budget of {', '.join(_FIELDS)} (given: {named})")
        ((name, value),) = given.items()
        if value <= 0:
            raise UserError(f"the budget of {value} {name} must be positive")
        return self

    def total_steps(
        self, tokens_per_step: float, flops_per_step: float, steps_per_epoch: int | None = None
    ) -> int | None:
        """Optimizer steps that the budget pays for; None for seconds (the clock decides).

        Raises UserError when it does not pay for a single step, and for epochs of a task whose
        examples never end.
        """
        if self.seconds is not None:
            return None
        if self.epochs is not None:
            if steps_per_epoch is None:
                raise UserError(
                    "this task has no epochs: give the budget as --steps, --tokens, --flops or "
                    "--seconds"
                )
            return max(1, round(self.epochs * steps_per_epoch))
        if self.flops is not None:
            steps = int(self.flops // flops_per_step)
            if steps < 1:
                raise UserError(
                    f"a budget of {self.flops:.3g} operations buys no step: one costs "
                    f"{flops_per_step:.3g}"
                )
            return steps
        return self.steps or math.ceil((self.tokens or 0) / tokens_per_step)

    def describe(self) -> str:
        """In words, for tables: `2,000,000 tokens`."""
        ((name, value),) = ((n, getattr(self, n)) for n in _FIELDS if getattr(self, n) is not None)
        return f"{value:,.4g} {name}" if isinstance(value, float) else f"{value:,} {name}"
