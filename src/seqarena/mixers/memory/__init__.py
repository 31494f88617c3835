"""Recurrent networks with a memory outside of their state: stacks."""

from seqarena.core.architecture import Architecture, layer

NUMBERS_DEPEND_ON_THIS = False  # a job takes its own row's modules (jobs/sources.py)

ROWS = (
    Architecture(
        "stack_rnn", "stack-augmented recurrent network", "memory", 2015,
        "Joulin and Mikolov 2015",
        "a recurrent network that pushes onto a stack and pops from it, in shares",
        (layer("memory.stack_rnn:StackRNN"),),
    ),
)  # fmt: skip
