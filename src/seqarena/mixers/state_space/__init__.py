"""State spaces: diagonal linear recurrences with many states a channel."""

from seqarena.core.architecture import Architecture, layer

NUMBERS_DEPEND_ON_THIS = False  # a job takes its own row's modules (jobs/sources.py)


ROWS = (
    Architecture(
        "s4", "structured state-space model", "state space", 2022, "Gu, Goel and Re 2022",
        "each channel keeps its past as coefficients of polynomials, trained as one convolution",
        (layer("state_space.s4:S4"),),
    ),
    Architecture(
        "s4d", "diagonal state-space model", "state space", 2022, "Gu et al. 2022",
        "a bank of damped oscillators, trained as one long convolution",
        (layer("state_space.s4d:S4D"),),
    ),
    Architecture(
        "h3", "Hungry Hungry Hippos", "state space", 2023, "Fu et al. 2023",
        "one state space looks a few positions back, one remembers; products join them",
        (layer("state_space.h3:H3"),),
    ),
    Architecture(
        "mamba", "Mamba state-space model", "state space", 2023, "Gu and Dao 2023",
        "a state space whose step and gates depend on the input",
        (layer("state_space.mamba:Mamba"),),
    ),
)  # fmt: skip
