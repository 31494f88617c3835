"""The neural probabilistic language model of Bengio et al. 2003 (JMLR 3, equation 1).

    x_t = (C(w_(t-n+2)), ..., C(w_t))                 the n - 1 words before the next, side by side
    y_t = b + W x_t + U tanh(d + H x_t)               W only with `direct`

    B batch   T time   D width   n order   H hidden   V answers

    paper       here
    C           words (nn.Embedding)
    H, d        hidden
    (U W), b    output: one map over tanh(...) and, with `direct`, x

Before the start of a sequence the words are zero vectors. The paper gives n up to 6, D from 30 to
100 and 50 to 100 hidden units (section 4), and reports that direct connections speed up learning
and do not improve generalisation.
"""

import torch
from torch import Tensor, nn

from seqarena.core.batch import Problem
from seqarena.core.errors import UserError
from seqarena.mixers.base import Complexity
from seqarena.models.language.causal_system import CausalSystem, PastState, layer_pasts
from seqarena.models.model import SystemOptions
from seqarena.ops.history import extend, windows


class NNLMOptions(SystemOptions):
    """`order` is n: each answer sees n - 1 words."""

    order: int = 6
    hidden: int | None = None  # None: the width
    direct: bool = False


class NNLM(CausalSystem):
    """A window of word vectors, one hidden layer, a softmax."""

    Options = NNLMOptions
    forms = ("tokens",)
    needs = ("vocab_size",)
    targets = ("classes", "numbers")
    dial = "hidden"
    equation = """
        x_t = (C(w_(t-n+2)), ..., C(w_t))
        y_t = b + W x_t + U tanh(d + H x_t)
    """
    complexity = Complexity(
        work="T n D H", serial_steps="1", path_length="1 within n, else none", state="n D"
    )

    def __init__(self, problem: Problem, width: int, options: NNLMOptions) -> None:
        super().__init__(problem, width, options)
        if options.order < 2:
            raise UserError(
                f"an order of {options.order} sees no word: use at least 2 (the paper uses 5 or 6)"
            )
        self.window = options.order - 1
        inputs, units = self.window * width, options.hidden or width
        self.words = nn.Embedding(problem.vocab_size, width)
        self.hidden = nn.Linear(inputs, units)
        self.output = nn.Linear(units + (inputs if options.direct else 0), problem.num_outputs)
        self.dropout = nn.Dropout(options.dropout)

    @property
    def pasts(self) -> tuple[tuple[int, int], ...]:
        return ((self.window - 1, self.width),)

    def embed(self, inputs_BT: Tensor) -> Tensor:
        return self.words(inputs_BT)

    def mix(
        self, x_BTD: Tensor, state: PastState | None, lengths_B: Tensor | None
    ) -> tuple[Tensor, PastState]:
        (past_BPD,) = layer_pasts(state, 1)
        x_BPD, past_BPD = extend(x_BTD, past_BPD, self.window - 1, lengths_B)
        window_BTI = windows(x_BPD, self.window)
        y_BTH = self.dropout(self.hidden(window_BTI).tanh())
        if self.options.direct:
            y_BTH = torch.cat((y_BTH, window_BTI), dim=-1)
        return y_BTH, PastState((past_BPD,))

    def head(self, y_BTD: Tensor) -> Tensor:
        return self.output(y_BTD)

    @property
    def algorithms(self) -> tuple[str, ...]:
        return ("unfolded",)

    def flops(self, length: int) -> int:
        return 2 * length * (self.hidden.weight.numel() + self.output.weight.numel())

    def serial_steps(self, length: int) -> int:
        return 3  # hidden, tanh, output
