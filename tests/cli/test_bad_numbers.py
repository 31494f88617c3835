"""A bad value for each option of each verb: one line, or it is a value like any other."""

from pathlib import Path
from typing import Any

import pytest
from walk import call, calls, commands, faults

from seqarena.engine import compare as comparing

BAD = ("0", "-1", "nan", "1e400", "text")
# their values are names of folders and texts, in which every one of these is as good as another
FREE = {"--runs", "--name", "--out", "--text", "--prompt", "--file"}
PLAIN = {("--first-seed", "0"), ("--repeats", "0")}  # their defaults: a worker would train
PAIRS = {"--set": "validation_fraction", "--option": "hidden"}
_ALIKE = {"compare": "train"}  # their options are the same where their help is


def options() -> dict[str, list[str]]:
    """The options of each verb that take a value, each once where verbs share it."""
    seen: set[tuple[str, str, str]] = set()
    found: dict[str, list[str]] = {}
    for verb, command in sorted(commands(), key=lambda pair: pair[0] != "train"):
        family = "measure" if verb.startswith("measure") else _ALIKE.get(verb, verb)
        for parameter in command.params:
            name, key = parameter.opts[-1], (family, parameter.opts[-1], str(parameter.help))
            is_flag = getattr(parameter, "is_flag", False)
            if not is_flag and name.startswith("--") and name not in FREE and key not in seen:
                seen.add(key)
                found.setdefault(verb, []).append(name)
    return found


OPTIONS = options()


def test_the_walk_finds_the_options() -> None:
    assert sum(map(len, OPTIONS.values())) > 80
    assert "--rate" in OPTIONS["train"]
    assert "--rates" in OPTIONS["compare"]
    assert "--radius" in OPTIONS["measure gradient"]


@pytest.mark.slow
@pytest.mark.parametrize("verb", OPTIONS)
def test_a_bad_value_of_any_option_is_no_traceback(
    verb: str, trained: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A value that is accepted trains or measures in a folder of its own, without its page."""

    def nothing(*_: Any, **__: Any) -> str:
        return ""

    monkeypatch.setattr(comparing, "render_html", nothing)
    monkeypatch.setattr(comparing, "write_database", nothing)
    as_it_is = call(calls(tmp_path, tmp_path / "good", *trained)[verb])
    assert as_it_is.exit_code == 0, as_it_is.output
    wrong, refused = [], 0
    for number, option in enumerate(OPTIONS[verb]):
        for bad in (bad for bad in BAD if (option, bad) not in PLAIN):
            value = f"{PAIRS[option]}={bad}" if option in PAIRS else bad
            words = calls(tmp_path, tmp_path / f"{number}-{bad}", *trained)[verb]
            result = call([*words, option, value])
            refused += result.exit_code == 2
            if fault := faults(result):
                wrong.append(f"{option} {value}: {fault}")
    assert not wrong
    assert refused
