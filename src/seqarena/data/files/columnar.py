"""Tables by columns: Parquet, and the Arrow files that `datasets` saves to disk.

Class numbers become class names where the file says them: Parquet in the schema's metadata
`huggingface`, Arrow in dataset_info.json in its folder.
"""

import io
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from seqarena.core.errors import UserError, missing_extra
from seqarena.data.files.opening import PACKED, open_bytes, read_bytes

_ROWS_AT_ONCE = 1024


def _all(names: list[str]) -> list[str]:
    return names


def read_parquet(
    file: Path, choose: Callable[[list[str]], list[str]] = _all
) -> Iterator[tuple[str, dict[str, Any]]]:
    """(place for errors, fields) of each row, of the columns that `choose` picks from their names.
    Raises UserError for a file that is broken."""
    pyarrow = _pyarrow("reading Parquet")
    from pyarrow.parquet import ParquetFile

    with (
        open_bytes(file) as stream,
        _in_one_line(file, "Parquet", pyarrow),
        ParquetFile(_source(file, stream)) as table,
    ):
        schema = table.schema_arrow
        _check_names(file, schema.names)
        stored = _fields((schema.metadata or {}).get(b"huggingface", b"{}")).get("info")
        features = stored.get("features") if isinstance(stored, dict) else None
        batches = table.iter_batches(batch_size=_ROWS_AT_ONCE, columns=choose(schema.names))
        yield from _rows(file, batches, _names_of(features))


def read_arrow(
    file: Path, choose: Callable[[list[str]], list[str]] = _all
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The same of an Arrow stream or file."""
    pyarrow = _pyarrow("reading Arrow")
    from pyarrow import ipc

    info = file.with_name("dataset_info.json")
    features = _fields(read_bytes(info)).get("features") if info.is_file() else None
    content = pyarrow.py_buffer(read_bytes(file))
    with _in_one_line(file, "Arrow", pyarrow):
        try:
            table: Any = ipc.open_stream(content)
            batches: Iterable[Any] = table
        except pyarrow.ArrowInvalid:
            table = ipc.open_file(content)
            batches = (table.get_batch(k) for k in range(table.num_record_batches))
        _check_names(file, table.schema.names)
        chosen = choose(table.schema.names)
        yield from _rows(file, (batch.select(chosen) for batch in batches), _names_of(features))


def _pyarrow(purpose: str) -> Any:
    try:
        import pyarrow
    except ImportError as error:
        raise missing_extra("pyarrow", "parquet", purpose) from error
    return pyarrow


@contextmanager
def _in_one_line(file: Path, form: str, pyarrow: Any) -> Iterator[None]:
    """Turns the library's errors into one line."""
    try:
        yield
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:
        raise UserError(f"{file}: not a readable {form} file") from error


def _rows(
    file: Path, batches: Iterable[Any], name_of: dict[str, Callable[[Any], Any]]
) -> Iterator[tuple[str, dict[str, Any]]]:
    number = 0
    for batch in batches:
        batch.validate(full=True)  # else damaged offsets read memory that is not theirs
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
    return None if value == -1 else value  # -1: the example has no label


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


def _source(file: Path, stream: BinaryIO) -> Any:
    return io.BytesIO(stream.read()) if file.suffix.lower() in PACKED else stream
