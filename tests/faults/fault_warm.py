"""What every call reads and computes once a process (sources, sizes, templates). The server that
calls are forked from imports it. It takes no backward step, which no fork may follow."""

import os
import tempfile
from pathlib import Path

import torch

from seqarena.arena.prepare import prepare, write_facts
from seqarena.arena.requests import CompareRequest
from seqarena.core.options import build
from seqarena.engine.pages import write_page
from seqarena.engine.run import Run

torch.set_num_threads(1)
with tempfile.TemporaryDirectory() as place:
    text = Path(place) / "text.txt"
    text.write_text("Some foxes jump over some lazy dogs. " * 200)
    chosen = {"data": str(text), "models": "gru,elman,mingru", "params": "8k", "length": 16}
    request = build(CompareRequest, {**chosen, "runs": place, "name": "warm"})
    rows = request.lineup.rows()
    prepared = prepare(request, request.task.config(), rows)
    write_facts(prepared, rows)
    write_page(prepared.folder.path)
    str(Run(prepared.folder.path))
os.environ["OMP_NUM_THREADS"] = "1"
