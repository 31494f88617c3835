"""Files as bytes, lines and text: packed or plain, in any encoding.

Files that end in .gz, .bz2, .xz or .zst are unpacked while they are read. Lines end at "\\n" or
"\\r\\n". A byte order mark is not part of the text; the mark of UTF-16 or UTF-32 decides the
encoding where the encoding is UTF-8, and the reading says so.
"""

import bz2
import codecs
import gzip
import io
import lzma
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from seqarena.core.errors import UserError, missing_extra
from seqarena.data.files.reading import Reading

PACKED = (".gz", ".bz2", ".xz", ".zst")
_POINTER = b"version https://git-lfs.github.com/spec/"
_STARTS = (
    (b"\x1f\x8b", "packed by gzip", (".gz", ".tgz")),
    (b"BZh", "packed by bzip2", (".bz2",)),
    (b"\xfd7zXZ\0", "packed by xz", (".xz",)),
    (b"\x28\xb5\x2f\xfd", "packed by zstd", (".zst",)),
    (b"PAR1", "Parquet", (".parquet",)),
    (b"ARROW1\0\0", "Arrow", (".arrow",)),
    (b"PK\3\4", "an archive", (".zip", ".npz", ".docx", ".xlsx")),
)
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip


def plain_name(file: Path) -> str:
    """The name without the suffix of packing: `train.de` of `train.de.gz`."""
    return file.stem if file.suffix.lower() in PACKED else file.name


def plain_suffix(file: Path) -> str:
    """The suffix without that of packing, in small letters: `.de` of `train.de.gz`."""
    return Path(plain_name(file)).suffix.lower()


@contextmanager
def open_bytes(file: Path) -> Iterator[BinaryIO]:
    """The unpacked bytes of a file. Raises UserError for what cannot be read, also while it is, and
    for what is another thing than its name says."""
    try:
        _check_start(file)
        with _opened(file) as stream:
            yield stream
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror or error}") from error
    except _damage() as error:
        raise UserError(f"{file}: cannot be read: it is damaged or cut ({error})") from error


def read_bytes(file: Path) -> bytes:
    """The whole file, unpacked. Raises UserError for what cannot be read."""
    with open_bytes(file) as stream:
        return stream.read()


def read_file(file: Path, name: str) -> bytes:
    """The content of a regular file as it is, not unpacked. Raises UserError naming it `name`."""
    try:
        if file.exists() and not file.is_file():
            raise UserError(f"{name}: cannot be read: it is no file")
        return file.read_bytes()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise UserError(f"{name}: cannot be read: {why}") from error


def read_text(file: Path, encoding: str = "utf-8", reading: Reading | None = None) -> str:
    """The whole text, its line ends as they are. Raises UserError as `read_lines`."""
    content = read_bytes(file)
    encoding = _encoding_of(file, content, encoding, reading)
    try:
        text = content.decode(encoding)
    except UnicodeError as error:
        line = content[: _start(error)].count(b"\n") + 1
        raise _undecodable(file, line, encoding) from error
    _check_text(file, text, first_line=1)
    return text.removeprefix("\ufeff")


def read_lines(
    file: Path, encoding: str = "utf-8", reading: Reading | None = None
) -> Iterator[tuple[int, str]]:
    """(number from 1, line without its end) of a text file.

    Raises UserError with file and line for bytes that are not in the encoding, and for NUL, which
    no text holds.
    """
    with open_bytes(file) as stream:
        start = stream.read(4)
        encoding = _encoding_of(file, start, encoding, reading)
        if "\n".encode(encoding) != b"\n":  # lines cannot be cut before they are decoded
            lines = _decoded_whole(file, start + stream.read(), encoding)
        else:
            lines = _decoded(file, _joined(start, stream), encoding)
        for number, line in enumerate(lines, start=1):
            if number == 1:
                line = line.removeprefix("\ufeff")
            line = line.rstrip("\r\n")
            _check_text(file, line, first_line=number)
            yield number, line


def _check_start(file: Path) -> None:
    """Raises UserError for a file that is packed and not named so, and for a pointer."""
    with file.open("rb") as stream:
        start = stream.read(len(_POINTER))
    if start == _POINTER:
        raise UserError(f"{file}: a pointer of Git LFS and not the data: fetch them: git lfs pull")
    suffix = file.suffix.lower()
    for magic, kind, named in _STARTS:
        if start.startswith(magic) and suffix not in named:
            raise UserError(f"{file}: {kind}, whatever its name says: end its name in {named[0]}")


def _damage() -> tuple[type[Exception], ...]:
    """What the packers raise for bytes that are not theirs."""
    known: tuple[type[Exception], ...] = (EOFError, zlib.error, lzma.LZMAError)
    zstandard = sys.modules.get("zstandard")
    return known if zstandard is None else (*known, zstandard.ZstdError)


def _opened(file: Path) -> BinaryIO:
    suffix = file.suffix.lower()
    if suffix == ".gz":
        return cast(BinaryIO, gzip.open(file, "rb"))
    if suffix == ".bz2":
        return cast(BinaryIO, bz2.open(file, "rb"))
    if suffix == ".xz":
        return cast(BinaryIO, lzma.open(file, "rb"))
    if suffix == ".zst":
        return _opened_zst(file)
    return file.open("rb")


def _opened_zst(file: Path) -> BinaryIO:
    try:
        import zstandard
    except ImportError as error:
        raise missing_extra("zstandard", "zstd", f"reading {file.name}") from error
    packed, unpacked = file.read_bytes(), []
    while packed:  # frame by frame: the library's reader of streams takes a cut file for a whole
        frame = zstandard.ZstdDecompressor().decompressobj()
        unpacked.append(frame.decompress(packed))
        if not frame.eof:
            raise EOFError("its last frame is cut")
        packed = frame.unused_data
    return io.BytesIO(b"".join(unpacked))


def _encoding_of(file: Path, start: bytes, encoding: str, reading: Reading | None) -> str:
    """The encoding to decode by: that of a byte order mark, where UTF-8 is asked for."""
    if codecs.lookup(encoding).name != "utf-8":
        return encoding
    for mark, name in _MARKS:
        if start.startswith(mark):
            if reading is not None:
                reading.note(f"{file.name} begins with the byte order mark of {name.upper()}")
            return name
    return encoding


def _joined(start: bytes, stream: BinaryIO) -> Iterator[bytes]:
    first, *rest = start.split(b"\n")
    for following in rest:  # lines that end within the first bytes
        yield first + b"\n"
        first = following
    line = first + stream.readline()
    if line:
        yield line
    yield from stream


def _decoded(file: Path, lines: Iterator[bytes], encoding: str) -> Iterator[str]:
    for number, line in enumerate(lines, start=1):
        try:
            yield line.decode(encoding)
        except UnicodeError as error:
            raise _undecodable(file, number, encoding) from error


def _decoded_whole(file: Path, content: bytes, encoding: str) -> Iterator[str]:
    try:
        text = content.decode(encoding)
    except UnicodeError as error:
        line = content[: _start(error)].decode(encoding, errors="replace").count("\n") + 1
        raise _undecodable(file, line, encoding) from error
    yield from text.removesuffix("\n").split("\n") if text else ()


def _start(error: UnicodeError) -> int:
    """Where it is; UTF-16 without its mark says no place."""
    return error.start if isinstance(error, UnicodeDecodeError) else 0


def _undecodable(file: Path, line: int, encoding: str) -> UserError:
    return UserError(
        f"{file}, line {line}: not {encoding}: convert the file, or name its encoding with "
        "--set encoding=NAME"
    )


def _check_text(file: Path, text: str, first_line: int) -> None:
    position = text.find("\0")
    if position >= 0:
        line = first_line + text.count("\n", 0, position)
        raise UserError(
            f"{file}, line {line}: a NUL byte: this is a binary file, or a text of another "
            "encoding, which --set encoding=NAME names"
        )
