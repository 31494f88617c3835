"""The ledger as it stands, from the records alone; a folder may be half done, or empty."""

from collections.abc import Sequence
from pathlib import Path

from seqarena.claims.citations import CITATIONS
from seqarena.claims.claim import Claim, Scale, not_yet
from seqarena.claims.contents import CLAIMS
from seqarena.claims.parts import read_part
from seqarena.core import words
from seqarena.core.results.measurement import Map, Measurement, Series
from seqarena.core.results.verdicts import ClaimView, Judgement, LedgerView


def read_ledger(folder: Path, scale: Scale, claims: Sequence[Claim] = CLAIMS) -> LedgerView:
    """Every claim with what the folder's records say of it."""
    return LedgerView(
        name=folder.name,
        scale=scale,
        command=f"seqarena claims --{scale}",
        claims=tuple(_view(folder, claim, scale) for claim in claims),
        citations=CITATIONS,
    )


def _view(folder: Path, claim: Claim, scale: Scale) -> ClaimView:
    records: list[Measurement] = []
    errors: list[str] = []
    waiting, seconds = 0, 0.0
    for part in claim.parts(scale):
        found = read_part(folder, part)
        if found is None:
            waiting += 1
            continue
        seconds += found.record.seconds
        records += found.measurements
        if found.record.error is not None:
            errors.append(found.record.error)
    return ClaimView(
        name=claim.name,
        title=claim.title,
        words=claim.words,
        source=claim.source,
        experiment=claim.experiment,
        criterion=claim.rule,
        amended=claim.amended,
        chart=claim.chart or next(iter(claim.repeats), ""),
        judgement=_judge(claim, records, errors, waiting),
        series=tuple(record for record in records if isinstance(record, Series)),
        maps=tuple(record for record in records if isinstance(record, Map)),
        seconds=seconds,
    )


def _judge(
    claim: Claim, records: Sequence[Measurement], errors: Sequence[str], waiting: int
) -> Judgement:
    if errors:
        return not_yet(errors[0])
    if waiting:
        return not_yet(f"{words.plural(waiting, 'part')} of its measuring to run")
    return claim.judged(records)
