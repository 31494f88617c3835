"""core/words.py under the name by which the pages know it."""

from seqarena.core.words import (
    ABSENT,
    Scale,
    metric_decimals,
    percent,
    plural,
    rate,
    scale_for,
    scaled,
    signed,
    significant,
    with_unit,
)
from seqarena.core.words import of_name as words

__all__ = [
    "ABSENT",
    "Scale",
    "metric_decimals",
    "percent",
    "plural",
    "rate",
    "scale_for",
    "scaled",
    "signed",
    "significant",
    "with_unit",
    "words",
]
