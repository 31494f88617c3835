"""The model that runs in the page: type a text, and see what it expects and what moves inside.

The scripts (report/page/js/live-*.js, live.js) are in the page only where there is a model. What
cannot run is named with its reason.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from seqarena.core import words
from seqarena.core.results.live import LiveModel
from seqarena.report.page.parts import Section


@dataclass(frozen=True, kw_only=True)
class LiveSection(Section):
    """`models` run; `refused` are sentences on those that do not."""

    template = "live/live.html"
    scripts = (
        "live-machine.js", "live-text.js", "live-reader.js", "live-picture.js",
        "live-strips.js", "live.js",
    )  # fmt: skip
    styles = ("live.css",)
    models: Sequence[LiveModel]
    ideas: Sequence[str]  # of each model, and facts
    facts: Sequence[str]
    refused: Sequence[str]


def live_section(
    models: Sequence[LiveModel], catalog: Mapping[str, Mapping[str, Any]]
) -> LiveSection | None:  # fmt: skip
    """The section of these models, the best first, with their rows of the catalog. None without
    any."""
    if not models:
        return None
    running = [one for one in models if one.data]
    return LiveSection(
        name="live",
        link="Live",
        heading="Watch it run",
        models=running,
        ideas=[_idea(catalog.get(one.architecture, {})) for one in running],
        facts=[_facts(one) for one in running],
        refused=[_refusal(one) for one in models if not one.data],
    )


def _idea(row: Mapping[str, Any]) -> str:
    """Its name and idea in one sentence."""
    return f"{words.capitalised(row['title'])}: {row['idea'].rstrip('.')}." if row else ""


def _facts(model: LiveModel) -> str:
    kind = "float32" if model.rounding == 0 else "float16 where they are matrices"
    found = f"{words.with_unit(model.parameters, 'count')} parameters in {kind}"
    if model.rounding:
        found += f" (which changes its answers by {model.rounding:.1g} of the largest logit)"
    return found


def _refusal(model: LiveModel) -> str:
    return f"{model.architecture} does not run in this page: {model.reason.rstrip('.')}."
