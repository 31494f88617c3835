"""Tasks by name: what is known builds, what is wrong is told in one line, torch waits."""

import json
import subprocess
import sys

import pytest

from seqarena.core.errors import UserError
from seqarena.tasks import TASKS, build_task, parse_task
from seqarena.tasks.registry import _ROWS, settings_of

SMALL = {
    "language": {"sequence_length": 16},
    "copying": {"max_distance": 3},
    "mqar": {"vocab_size": 32, "grid": [[16, 2]]},
}


def test_every_task_is_filed_under_its_own_name():
    assert {kind: row.config().kind for kind, row in _ROWS.items()} == {
        kind: kind for kind in TASKS
    }


@pytest.mark.parametrize("kind", SMALL)
def test_built_from_stored_fields(kind):
    config = parse_task({"kind": kind, **SMALL[kind]})
    again = parse_task(json.loads(config.model_dump_json()))
    assert again == config
    task = build_task(again)
    assert task.name == kind
    batch = task.training_batch(0, 2, seed=0)
    assert batch.inputs_BT.shape == batch.targets_BT.shape
    assert batch.inputs_BT.shape[0] == 2
    json.dumps(task.describe(), allow_nan=False)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "langage"}, "unknown task 'langage': did you mean language"),
        ({}, "unknown task 'None'"),
        ({"kind": "language", "sequence_lenght": 3}, "did you mean sequence_length"),
        ({"kind": "language", "sequence_length": 0}, "sequence_length = 0"),
        ({"kind": "language", "sequence_length": "long"}, "sequence_length = 'long'"),
        ({"kind": "language", "tokenizer": "word"}, "unknown tokenizer 'word'"),
        ({"kind": "language", "validation_fraction": 2}, "must be between 0 and 1"),
        ({"kind": "language", "test_fraction": "none"}, "test_fraction = 'none'"),
        ({"kind": "copying", "min_distance": 9, "max_distance": 3}, "3 is below min_distance 9"),
        ({"kind": "copying", "alphabet": 1}, "alphabet = 1"),
        ({"kind": "mqar", "grid": []}, "grid is empty"),
        ({"kind": "mqar", "grid": [[64, 4], [64, 4]]}, "twice"),
        ({"kind": "mqar", "grid": [[64, 17]]}, "do not fit into a length of 64.*at least 68"),
        ({"kind": "mqar", "grid": [[63, 2]]}, "even"),
        ({"kind": "mqar", "grid": [[64, 0]]}, "at least 1 is needed"),
        ({"kind": "mqar", "vocab_size": 16, "grid": [[64, 8]]}, "has 7 keys, too few for 8"),
        ({"kind": "mqar", "power_a": 0}, "power_a = 0"),
    ],
)
def test_mistakes(fields, message):
    with pytest.raises(UserError, match=message) as caught:
        parse_task(fields)
    assert "\n" not in str(caught.value)


def test_reading_a_plan_loads_neither_torch_nor_optional_packages():
    program = (
        "import sys, seqarena.tasks, seqarena.data.text.corpora, seqarena.data.batches\n"
        "seqarena.tasks.parse_task({'kind': 'language', 'tokenizer': 'bpe:512'})\n"
        "print([m for m in ('torch', 'pyarrow', 'tokenizers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize("kind", TASKS)
def test_every_setting_says_what_it_is(kind: str) -> None:
    for name, (_, words) in settings_of(kind).items():
        assert len(words) > 8, name
        assert words.endswith((".", "]")), name
