"""Requests that the schema allows, and such that it does not: Schemathesis finds no answer 5xx, and
none of another form than the schema says."""

import re
import sys
import sysconfig
from pathlib import Path
from subprocess import run

import httpx
import pytest
from server_process import Served

CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,"
    "response_schema_conformance,response_headers_conformance,unsupported_method"
)
pytestmark = pytest.mark.slow


def fuzz(server: Served, folder: Path, cases: int, phases: str) -> int:
    """How many requests were sent; it may leave files in the folder."""
    assert httpx.get(f"{server.address}/health").status_code == 200
    before = server.count("requests_total")
    name = "schemathesis.exe" if sys.platform == "win32" else "schemathesis"
    done = run(
        [
            Path(sysconfig.get_path("scripts"), name), "run", f"{server.address}/openapi.json",
            "--checks", CHECKS, "--max-examples", str(cases), "--seed", "1", "--mode", "all",
            "--phases", phases, "--max-time", "25", "--no-color",
            "--generation-database", "none",
        ],
        capture_output=True, text=True, timeout=120, check=False, cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    assert re.search(r"Tested: [56]", done.stdout)
    return int(server.count("requests_total") - before)


def test_completions_answer_every_request_well(served: Served, tmp_path: Path) -> None:
    assert 100 < fuzz(served, tmp_path, 30, "coverage,fuzzing") < 1000
    assert served.text(prompt="the past", max_tokens=3, temperature=0)
