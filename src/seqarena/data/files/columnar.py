"""Tables by columns: Parquet, and the Arrow files that `datasets` saves to disk.

Class numbers become class names where the file says them: Parquet in the schema's metadata
`huggingface`, Arrow in dataset_info.json in its folder.
"""

import io
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from seqarena.core.errors import UserError, missing_extra
from seqarena.data.files.opening import PACKED, read_bytes

_ROWS_AT_ONCE = 1024


def read_parquet(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(place for errors, fields) of each row. Raises UserError for a file that is broken."""
    try:
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise missing_extra("pyarrow", "parquet", "reading Parquet") from error
    with _in_one_line(file, "Parquet"), ParquetFile(_source(file)) as table:
        schema = table.schema_arrow
        _check_names(file, schema.names)
        stored = _fields((schema.metadata or {}).get(b"huggingface", b"{}")).get("info")
        features = stored.get("features") if isinstance(stored, dict) else None
        yield from _rows(file, table.iter_batches(batch_size=_ROWS_AT_ONCE), _names_of(features))


def read_arrow(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The same of an Arrow stream or file."""
    try:
        from pyarrow import ArrowInvalid, ipc, py_buffer
    except ImportError as error:
        raise missing_extra("pyarrow", "parquet", "reading Arrow") from error
    info = file.with_name("dataset_info.json")
    features = _fields(read_bytes(info)).get("features") if info.is_file() else None
    content = py_buffer(read_bytes(file))
    with _in_one_line(file, "Arrow"):
        try:
            table: Any = ipc.open_stream(content)
            batches: Iterable[Any] = table
        except ArrowInvalid:
            table = ipc.open_file(content)
            batches = (table.get_batch(k) for k in range(table.num_record_batches))
        _check_names(file, table.schema.names)
        yield from _rows(file, batches, _names_of(features))


@contextmanager
def _in_one_line(file: Path, form: str) -> Iterator[None]:
    """Turns the library's errors into one line."""
    from pyarrow import ArrowException

    try:
        yield
    except (ArrowException, OSError, ValueError, OverflowError) as error:
        raise UserError(f"{file}: not a readable {form} file") from error


def _rows(
    file: Path, batches: Iterable[Any], name_of: dict[str, Callable[[Any], Any]]
) -> Iterator[tuple[str, dict[str, Any]]]:
    number = 0
    for batch in batches:
        for row in batch.to_pylist():
            number += 1
            place = f"{file}, row {number}"
            yield (
                place,
                {
                    field: name_of[field](value) if field in name_of else value
                    for field, value in row.items()
                },
            )


def _names_of(features: Any) -> dict[str, Callable[[Any], Any]]:
    """By field, what turns class numbers into names: of ClassLabel, or of a list of ClassLabel."""
    found: dict[str, Callable[[Any], Any]] = {}
    for field, feature in features.items() if isinstance(features, dict) else ():
        names = _class_names(feature)
        if names is not None:
            found[field] = lambda value, names=names: _named(value, names)
    return found


def _class_names(feature: Any) -> list[str] | None:
    if isinstance(feature, list) and len(feature) == 1:
        return _class_names(feature[0])
    if not isinstance(feature, dict):
        return None
    names = feature.get("names")
    if isinstance(names, list) and all(isinstance(name, str) for name in names):
        return names
    return _class_names(feature.get("feature"))


def _named(value: Any, names: list[str]) -> Any:
    if isinstance(value, list):
        return [_named(each, names) for each in value]
    if isinstance(value, int) and 0 <= value < len(names):
        return names[value]
    return value  # -1: the example has no label


def _fields(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _check_names(file: Path, names: list[str]) -> None:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"{file}: two columns are named {twice!r}: rename one of them")


def _source(file: Path) -> Any:
    return io.BytesIO(read_bytes(file)) if file.suffix.lower() in PACKED else file
