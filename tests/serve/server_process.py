"""Servers as processes of their own, as a user starts them."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx


class Served(NamedTuple):
    """A server that runs."""

    address: str
    process: subprocess.Popen[str]
    lines: list[str]  # that it printed at the start

    def count(self, name: str) -> float:
        """A counter of /metrics, all its labels together."""
        text = httpx.get(f"{self.address}/metrics").text
        found = re.findall(rf"^seqarena_{name}(?:\{{[^}}]*\}})? (\S+)$", text, re.MULTILINE)
        assert found, f"no counter {name}"
        return sum(map(float, found))

    def post(self, route: str, body: Any, **more: Any) -> httpx.Response:
        return httpx.post(f"{self.address}{route}", json=body, timeout=60, **more)

    def text(self, **fields: Any) -> str:
        answer = self.post("/v1/completions", fields)
        assert answer.status_code == 200, answer.text
        return answer.json()["choices"][0]["text"]


@contextmanager
def serving(place: Path, *options: str) -> Iterator[Served]:
    """`seqarena serve PLACE` on a free port; Ctrl-C ends it, and it has to end well."""
    command = [sys.executable, "-m", "seqarena", "serve", str(place), "--port", "0", *options]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        lines = [process.stdout.readline().rstrip("\n") for _ in range(3)]
        address = re.search(r"at (http://\S+) ", lines[0])
        assert address, [*lines, process.stderr.read()]
        yield Served(address[1], process, lines)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 0
        errors = process.stderr.read()
        assert errors == "", errors
    finally:
        process.kill()
        process.communicate()
