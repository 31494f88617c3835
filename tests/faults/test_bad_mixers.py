"""A mixer that is wrong gets one clear line, and the others go on without it."""

import math
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import seqarena as sa
from seqarena.arena.costs import measure_entry
from seqarena.cli import app
from seqarena.core.batch import Problem

HEAD = """
import math, sys
import torch
from torch import nn
from seqarena.mixers.base import Complexity, Mixer, MixerConfig
from seqarena.mixers.minimal.mingru import MinGRU
from seqarena.core.shapes import map_state

class Good(MinGRU):
    pass

no_class = 3

class NoMixer:
    pass
"""
# name -> (its body below `class NAME(MinGRU):`, what is said when it cannot be built)
UNBUILDABLE = {
    "RaisesInInit": ("def __init__(self, *a): raise ValueError('axis [/D] is odd\\nand long')",
                     "ValueError: axis [/D] is odd and long"),
    "ExitsInInit": ("def __init__(self, *a): sys.exit(3)", "SystemExit: 3"),
    "NoSuper": ("def __init__(self, *a): self.layer = nn.Linear(3, 3)", "AttributeError"),
    "WrongArguments": ("def __init__(self): super().__init__()", "TypeError"),
    "EndlessRecursion": ("def __init__(self, *a): self.__init__(*a)", "RecursionError"),
    "NoConfig": ("Config = None", "write Config = MixerConfig"),
    "BadAlgorithms": ("operation = None\n    algorithms = 5", "TypeError"),
    "NoAlgorithms": ("operation = None\n    algorithms = ()", "does not say what computes it"),
}  # fmt: skip
CLAIMS = {
    "FlopsNaN": ("def flops(self, length): return math.nan", "flops(16) is nan"),
    "FlopsInfinite": ("def flops(self, length): return math.inf", "flops(16) is inf"),
    "FlopsNegative": ("def flops(self, length): return -1e12", "is -1000000000000.0"),
    "FlopsZero": ("def flops(self, length): return 0", "is 0: it has to be a whole number from 1"),
    "FlopsText": ("def flops(self, length): return 'many'", "is 'many'"),
    "FlopsRaises": ("def flops(self, length): raise KeyError('x')", "KeyError: 'x'"),
    "StepsZero": ("def serial_steps(self, length): return 0", "serial_steps(16) is 0"),
    "StateNegative": ("def state_bytes(self, length): return -8", "state_bytes(16) is -8"),
    "PathNaN": ("def path_length(self, distance): return math.nan", "path_length(1) is nan"),
    "ReachNaN": ("def reach(self): return math.nan", "reach() is nan"),
    "NoComplexity": ("complexity = None", "does not state its orders of growth"),
    "EquationNumber": ("equation = 3", "EquationNumber.equation is no text"),
}
FAILING = {
    "RaisesInForward": ("def mix(self, x, state, lengths): raise ValueError('odd [/D] x')",
                        "ValueError: odd [/D] x"),
    "WrongShape": ("def mix(self, x, state, lengths):\n"
                   "        y, state = super().mix(x, state, lengths)\n"
                   "        return y[..., :3], state", "Error"),
    "NoTuple": ("def mix(self, x, state, lengths): return x", "Error"),
}  # fmt: skip
DIVERGING = {
    "OutputsNaN": "def mix(self, x, state, lengths):\n"
    "        y, state = super().mix(x, state, lengths)\n"
    "        return y * math.nan, state",
}
# these train, and the contract finds them
CONTRACT = {
    "NotCausal": ("def mix(self, x, state, lengths):\n"
                  "        y, state = super().mix(x, state, lengths)\n"
                  "        return y + x.mean(1, keepdim=True), state", "causality"),
    "NoGradient": ("def __init__(self, width, config):\n"
                   "        super().__init__(width, config)\n"
                   "        self.unused_D = nn.Parameter(torch.zeros(width))", "gradients"),
    "Detached": ("def mix(self, x, state, lengths):\n"
                 "        y, state = super().mix(x.detach(), state, lengths)\n"
                 "        return y, state", "gradients"),
    "StateBytesWrong": ("def state_bytes(self, length): return 8", "state_bytes"),
    "ForgetsState": ("def mix(self, x, state, lengths): return super().mix(x, None, lengths)",
                     "splitting"),
    "IgnoresPadding": ("def mix(self, x, state, lengths): return super().mix(x, state, None)",
                       "padding"),
}  # fmt: skip
FILES = {
    "syntax.py": ("class Mine(:\n", "SyntaxError"),
    "imports.py": ("import no_such_package_at_all\n", "no_such_package_at_all"),
    "raises.py": ("1 / 0\n", "ZeroDivisionError"),
    "exits.py": ("import sys\nsys.exit(0)\n", "SystemExit"),
    "zeros.py": ("x = '\0'\n", "null bytes"),
    "latin.py": (b"x = '\xe9'\n", "SyntaxError"),
    "deep.py": ("x = " + "(" * 5000, "Error"),
    "empty.py": ("", "no subclass of Mixer named 'Mine'"),
    "itself.py": ("from seqarena.mixers.base import Mixer as Mine\n", "is abstract"),
}
PLACES = {
    "bad.py:Missing": "no subclass of Mixer named 'Missing'",
    "bad.py:no_class": "no subclass of Mixer named 'no_class'",
    "bad.py:NoMixer": "no subclass of Mixer named 'NoMixer'",
    "bad.py:": "write it as file.py:Class",
    "nowhere.py:Mine": "'nowhere.py' does not exist",
    "no_such_module:Mine": "cannot be imported",
    "folder.py:Mine": "does not exist",
}
SMALL = ("--width", "8", "--steps", "2", "--length", "16", "--batch", "2", "--tokenizer", "char")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bad")
    every = UNBUILDABLE | CLAIMS | FAILING | CONTRACT
    bodies = {name: body for name, (body, _) in every.items()} | DIVERGING
    classes = (f"class {name}(MinGRU):\n    {body}\n" for name, body in bodies.items())
    (folder / "bad.py").write_text("\n".join([HEAD, *classes]))
    for name, (text, _) in FILES.items():
        (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    (folder / "folder.py").mkdir()
    (folder / "text.txt").write_text("the past is what the state remembers;\n" * 60)
    return folder


@pytest.fixture(autouse=True)
def _here(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    monkeypatch.setenv("COLUMNS", "1000")


def call(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def is_refused(result: Result, words: str) -> None:
    assert result.exit_code == 2, (result.output, result.exception)
    (line,) = result.stderr.strip().splitlines()
    assert words in line


def test_one_comparison_goes_on_without_all_of_them() -> None:
    bad = UNBUILDABLE | CLAIMS | FAILING | dict.fromkeys(DIVERGING, ("", ""))
    mixers = [word for name in [*bad, "Good"] for word in ("--mixer", f"bad.py:{name}")]
    files = [word for name in FILES for word in ("--mixer", f"{name[:-3]}={name}:Mine")]
    done = call("compare", "text.txt", "--models", "elman", *mixers, *files, *SMALL, "--rates",
                "1e-3", "--seeds", "1", "--repeats", "0", "--name", "all", "--jobs", "1",
                "--dtype", "float32", "--no-measure")  # fmt: skip
    assert done.exit_code == 1, (done.output[-2000:], done.exception)  # something failed
    assert "Traceback" not in done.output
    lines = done.output.splitlines()
    for name, (_, words) in (UNBUILDABLE | CLAIMS).items():
        (line,) = [one for one in lines if one.startswith(f"{name.lower()} cannot enter: ")]
        assert words in line
    for name, (_, words) in FILES.items():
        (line,) = [one for one in lines if one.startswith(f"{name[:-3]} cannot enter: ")]
        assert words in line
    for name, (_, words) in FAILING.items():
        (line,) = [one for one in lines if one.startswith(f"failed: {name.lower()}, rate ")]
        assert words in line
    run = sa.open_run("runs/all")
    assert {row.architecture for row in run.rows} == {"elman", "good"}
    assert run.ranking.excluded["flopsnan"].startswith("FlopsNaN.flops")
    assert "FlopsNaN.flops" in Path("runs/all/report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [*UNBUILDABLE, *CLAIMS, *FAILING, *FILES])
def test_trained_by_itself_it_is_one_line(name: str) -> None:
    every = UNBUILDABLE | CLAIMS | FAILING | FILES
    mixer = f"{name}:Mine" if name in FILES else f"bad.py:{name}"
    done = call("train", "text.txt", "--mixer", mixer, *SMALL, "--name", "one", "--dtype",
                "float32")  # fmt: skip
    assert done.exit_code == 2, (done.output, done.exception)
    assert "Traceback" not in done.output
    (line,) = done.stderr.strip().splitlines()
    assert every[name][1] in line


def test_costs_that_cannot_be_measured_are_one_line() -> None:
    problem = Problem(num_outputs=8, vocab_size=8, causal=True, max_length=16)
    for name, (_, words) in FAILING.items():
        config = sa.build(name, problem=problem, width=8, mixer=f"bad.py:{name}").config
        with pytest.raises(sa.UserError, match=re.escape(words)) as told:
            measure_entry(
                name, 0, config.model_dump(mode="json"), problem.model_dump(mode="json"), {},
                batch_size=2, sequence_length=16, device="cpu", dtype="float32", threads=1,
            )  # fmt: skip
        assert len(str(told.value).splitlines()) == 1


@pytest.mark.parametrize("name", FAILING)
def test_a_dry_run_of_it_is_one_line(name: str) -> None:
    mixer = ("--mixer", f"bad.py:{name}")
    is_refused(call("train", "text.txt", *mixer, *SMALL, "--dry-run"), FAILING[name][1])


def test_what_diverges_is_not_ranked() -> None:
    done = call("train", "text.txt", "--mixer", "bad.py:OutputsNaN", *SMALL, "--name", "nan")
    assert "Traceback" not in done.output
    assert done.exception is None or isinstance(done.exception, SystemExit)


@pytest.mark.parametrize(("mixer", "words"), PLACES.items())
def test_what_is_no_mixer_is_refused(mixer: str, words: str) -> None:
    is_refused(call("check", mixer), words)
    is_refused(call("train", "text.txt", "--mixer", mixer, *SMALL), words)
    is_refused(call("measure", "maps", "--mixer", mixer), words)


@pytest.mark.parametrize("name", [*UNBUILDABLE, *FILES])
def test_check_of_what_cannot_be_built_is_one_line(name: str) -> None:
    mixer = f"{name}:Mine" if name in FILES else f"bad.py:{name}"
    is_refused(call("check", mixer), (UNBUILDABLE | FILES)[name][1])


@pytest.mark.parametrize("name", [*CLAIMS, *FAILING, *DIVERGING, *CONTRACT])
def test_the_contract_catches_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from seqarena.mixers import contract

    kept = ("equation", "causality", "splitting", "padding", "gradients", "state_bytes", "costs")
    expected = CONTRACT[name][1] if name in CONTRACT else None
    checks = {key: contract.CHECKS[key] for key in kept if expected in (None, key)}
    monkeypatch.setattr(contract, "CHECKS", checks)
    done = call("check", f"bad.py:{name}")
    assert "Traceback" not in done.output
    assert done.exit_code == 1, (done.output, done.exception)
    failed = [line for line in done.stdout.splitlines() if "FAILED: " in line]
    assert failed
    assert all(re.match(r"  \w+ +FAILED: \S.*\(\d+\.\d s\)$", line) for line in failed)


def test_a_good_one_passes_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    from seqarena.mixers import contract

    checks = {key: contract.CHECKS[key] for key in ("causality", "gradients", "costs")}
    monkeypatch.setattr(contract, "CHECKS", checks)
    assert call("check", "bad.py:Good").exit_code == 0
    assert math.isinf(sa.build("good", vocab_size=8, width=8, mixer="bad.py:Good").reach() or 0)
