"""benchmarks/gpu.py without a GPU: the time limit, what a cut leaves behind, whole parts at tiny
sizes."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import gpu
from benchmarks.gpu_parts import PARTS, Part, Sizes

SMALL = Sizes.of("cpu", True)


def part_of(**rows: Callable[[], dict[str, Any]]) -> Part:
    def listed(_sizes: Sizes) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
        yield from rows.items()

    return Part("a test", 1.0, listed)


def fails() -> dict[str, Any]:
    raise RuntimeError("no such kernel\nand more lines")


def sleeps() -> dict[str, Any]:
    time.sleep(60.0)
    return {"says": "slept"}


def test_a_row_that_fails_or_hangs_is_recorded_and_the_rest_is_named(tmp_path: Path) -> None:
    part = part_of(good=lambda: {"says": "1"}, bad=fails, slow=sleeps, never=lambda: {"says": "2"})
    assert gpu.run_part(part, gpu.PartFile(tmp_path, "p"), SMALL, 4.0) == 0
    content = json.loads((tmp_path / "p.json").read_text())
    good, bad, slow = content["rows"]
    assert (good["name"], good["says"]) == ("good", "1")
    assert "no such kernel" in bad["error"]
    assert "\n" not in bad["error"]
    assert "not finished after" in slow["error"]
    assert content["left_out"] == ["never"]
    assert content["facts"]["versions"]["torch"] == torch.__version__


def test_a_further_call_goes_on_where_the_last_one_stopped(tmp_path: Path) -> None:
    first = part_of(a=lambda: {"says": "first"})
    gpu.run_part(first, gpu.PartFile(tmp_path, "p"), SMALL, 5.0)
    both = part_of(a=fails, b=lambda: {"says": "second"})
    file = gpu.PartFile(tmp_path, "p")
    gpu.run_part(both, file, SMALL, 5.0)
    assert [row["says"] for row in file.content["rows"]] == ["first", "second"]
    assert file.content["left_out"] == []


def test_what_is_on_disk_is_whole_after_every_row(tmp_path: Path) -> None:
    seen = []

    def looks() -> dict[str, Any]:
        seen.append(json.loads((tmp_path / "p.json").read_text()))
        return {"says": ""}

    part = part_of(a=lambda: {"says": "1"}, b=looks, c=looks)
    gpu.run_part(part, gpu.PartFile(tmp_path, "p"), SMALL, 5.0)
    assert [len(content["rows"]) for content in seen] == [1, 2]


def test_the_parts_share_the_time_and_pass_on_what_they_do_not_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[float] = []
    monkeypatch.setattr(gpu, "start", lambda command, seconds: given.append(seconds) or 0)
    shares = {"contract": 2.0, "training": 1.0, "million": 1.0}
    parts = {name: PARTS[name]._replace(share=share) for name, share in shares.items()}
    monkeypatch.setattr(gpu, "PARTS", parts)
    assert not gpu.run_parts(gpu.Plan(tmp_path, 100.0, list(shares), "cpu", True))
    # each took no time: half, then half of what is left, then all of it
    assert [round(seconds) for seconds in given] == [50, 50, 100]


def test_a_process_that_cuda_left_unusable_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes = iter([gpu.BROKEN, gpu.BROKEN, 0])
    monkeypatch.setattr(gpu, "start", lambda command, seconds: next(codes))
    gpu.run_parts(gpu.Plan(tmp_path, 100.0, ["contract"], "cpu", True))
    assert next(codes, None) is None


def test_a_part_that_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "GRACE", 0.2)
    begin = time.monotonic()
    assert gpu.start(["sleep", "60"], 0.1) != 0
    assert time.monotonic() - begin < 30


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_without_a_gpu_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["gpu", "--out", str(tmp_path / "out")])
    assert gpu.main() == 0
    assert capsys.readouterr().out.startswith("no GPU here: ")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["operations", "million"])
def test_a_part_at_tiny_sizes(tmp_path: Path, name: str) -> None:
    """Every row of it gives numbers."""
    file = gpu.PartFile(tmp_path, name)
    gpu.run_part(PARTS[name], file, SMALL._replace(row_seconds=0.0), 120.0)
    assert file.content["left_out"] == []
    assert file.content["rows"]
    assert all("error" not in row for row in file.content["rows"]), file.content["rows"]
