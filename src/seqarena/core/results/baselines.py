"""What baselines reached: the record of a run folder, and the rows of a ranking."""

from seqarena.core.config import Config

NUMBERS_DEPEND_ON_THIS = False  # records say what was found (jobs/sources.py)


class BaselineRecord(Config):
    """One baseline on the test split that ranks the architectures. Without chunk values it is
    known and not sampled, or cannot be parted."""

    key: str  # of the task, the baseline and the sources of both
    name: str
    idea: str
    detail: str = ""  # what was chosen or left out
    task_digest: str
    metric: str
    value: float
    chunk_values: tuple[float, ...] = ()
    slices: dict[str, float] = {}
    validation_value: float | None = None
    seconds: float
    computed_at: str  # ISO 8601, UTC
    seqarena_version: str
    numpy_version: str
    processor: str


class BaselineRow(Config):
    """One baseline in the ranking, with the leader's lead over it: positive is better."""

    name: str
    idea: str
    detail: str = ""
    value: float
    validation_value: float | None = None
    seconds: float
    lead: float
    lead_low: float
    lead_high: float
    p_value: float

    @property
    def title(self) -> str:
        """ "n-gram (order 5)"."""
        return f"{self.name} ({self.detail})" if self.detail else self.name
