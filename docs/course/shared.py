"""What several lessons use: an empty chart, and a clock."""

import time
from collections.abc import Callable
from typing import Any

import plotly.graph_objects as go

BELOW = {"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom"}  # a legend's place


def chart(title: str, x: str, y: str, **more: Any) -> go.Figure:
    """An empty figure with its titles; `more` is of its layout."""
    return go.Figure(layout={"title.text": title, "xaxis.title": x, "yaxis.title": y, **more})


def milliseconds(call: Callable[[], Any], repeats: int = 3) -> float:
    """Processor time, the least of some repeats, so that other programs count little."""
    found = []
    for _ in range(1 + repeats):
        start = time.process_time()
        call()
        found.append(1e3 * (time.process_time() - start))
    return min(found)
