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
        "s5", "simplified state-space model", "state space", 2022, "Smith et al. 2022",
        "one bank of damped oscillators that all features drive and read together",
        (layer("state_space.s5:S5"),),
    ),
    Architecture(
        "lru", "linear recurrent unit", "state space", 2023, "Orvieto et al. 2023",
        "a linear recurrence whose complex decays stay inside the unit disk",
        (layer("state_space.lru:LRU"),),
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
    Architecture(
        "mamba2", "Mamba-2 state-space model", "state space", 2024, "Dao and Gu 2024",
        "a state space with one decay a head: a matrix that is written to and fades as a whole",
        (layer("state_space.mamba2:Mamba2"),),
    ),
    Architecture(
        "hawk", "Hawk real-gated linear recurrent unit", "state space", 2024, "De et al. 2024",
        "a fading memory a channel, whose two gates see the input alone",
        (layer("state_space.rg_lru:RGLRU"),),
    ),
    Architecture(
        "mamba3", "Mamba-3 state-space model", "state space", 2026, "Lahoti et al. 2026",
        "a state space whose states turn by angles that are read, each position written twice",
        (layer("state_space.mamba3:Mamba3"),),
    ),
)  # fmt: skip
