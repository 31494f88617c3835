"""The digest of the sources that one job runs: the modules that it starts from and their imports.

Imports are read from the source, those inside functions too, and nothing is imported. They are
followed inside the package and inside the packages of the first modules. A string that is the whole
name of a module or of something in it ("seqarena.ops.scan:chunked") counts as an import, and a
package that calls `register_files` (ops/registry.py) imports every file beside it.

Comments, docstrings and layout do not count: what is hashed is the syntax tree, written in a form
that is the same in every version of Python. A file outside the package counts byte by byte.

Three kinds of module are left out: the package's root, which is the front door; this room, which
only carries jobs; and any module that says `NUMBERS_DEPEND_ON_THIS = False`. A catalog says so,
because it names every architecture: who makes a job of a name adds the modules behind the name.
"""

import ast
import functools
import hashlib
import importlib.util
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from seqarena.core.config import digest
from seqarena.core.errors import UserError

_HOME = Path(__file__).parents[1]  # the package's own folder
_PACKAGE = _HOME.name
_ADAPTER = f"{_PACKAGE}.mixers.plain"  # of a user's file that holds a plain torch module
_ROOM = __name__.rpartition(".")[0]
_PLACE = re.compile(rf"({_PACKAGE}(?:\.\w+)+)(?::\w+)?")
_NOT_MEANT = {"ctx", "kind", "type_comment", "type_ignores"}  # fields that change no meaning


class ModuleSource(NamedTuple):
    """One module: the digest of what it does, what it imports, and the strings in it."""

    digest: str
    imports: frozenset[str]
    strings: frozenset[str]
    counts: bool  # False: it says that no number depends on it


def source_digest(places: Iterable[str]) -> str:
    """Sixteen hexadecimal digits over the sources that `places` run. A place is a module,
    `package.module:Class`, or a user's `path/to/file.py:Class`, which counts by its content.

    Raises UserError for a place that does not exist.
    """
    return digest(sorted((name, source.digest) for name, source in closure(places).items()))


def closure(places: Iterable[str]) -> dict[str, ModuleSource]:
    """Module -> source, of `places` and of all that they import. A user's file is named "file"
    and its digest, so that it may be moved."""
    modules = sorted({module_of(place) for place in places})
    for module in modules:
        if locate(module) is None:
            raise UserError(f"module {module!r} does not exist")
    followed = {_PACKAGE, *(module.partition(".")[0] for module in modules)}
    found: dict[str, ModuleSource] = {}
    seen: set[str] = set()
    while modules:
        module = modules.pop()
        if module in seen or _left_out(module) or module.partition(".")[0] not in followed:
            continue
        seen.add(module)
        file = locate(module)
        source = None if file is None else read_source(file)
        if file is not None and source is not None and source.counts:
            found[f"file {source.digest}" if _is_file(module) else module] = source
            modules += source.imports
            if _is_file(module):
                modules.append(_ADAPTER)
            if any(name.endswith(".register_files") for name in source.imports):
                files = sorted(file.parent.glob("[!_]*.py"))
                modules += [f"{module}.{beside.stem}" for beside in files]
    return found


def module_of(place: str) -> str:
    """The module or the file of a place, without a label and without the name in it.

    >>> module_of("package.module:Class"), module_of("mine=own/file.py:Class")
    ('package.module', 'own/file.py')
    """
    place = place.rpartition("=")[2]
    return place.rpartition(":")[0] or place


def places_in(value: Any) -> set[str]:
    """The strings in a JSON value that name something of the package, or a user's file.py:Class."""
    if isinstance(value, str):
        own = value.rpartition("=")[2].rpartition(":")[0].endswith(".py")
        return {value} if own or _PLACE.fullmatch(value) else set()
    if isinstance(value, dict):
        value = list(value.values())
    return {place for item in value for place in places_in(item)} if _is_list(value) else set()


def locate(module: str) -> Path | None:
    """The file of a module, or the file itself; None where there is none. Imports nothing."""
    if _is_file(module):
        return Path(module) if Path(module).is_file() else None
    top, *rest = module.split(".")
    if top == _PACKAGE:
        return _file_below(_HOME, tuple(rest))
    found = importlib.util.find_spec(top)
    if found is None or found.origin is None:
        return None
    if found.submodule_search_locations is None:
        return Path(found.origin) if not rest else None
    return _file_below(Path(found.origin).parent, tuple(rest))


def read_source(file: Path) -> ModuleSource:
    """What a file holds. Raises UserError for one that is no Python."""
    facts = file.stat()
    return _read(file, facts.st_mtime_ns, facts.st_size)


@functools.cache
def _read(file: Path, mtime_ns: int, size: int) -> ModuleSource:
    content = file.read_bytes()
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError) as error:
        raise UserError(f"{file} is not Python: {error}") from error
    own = file.is_relative_to(_HOME)
    meaning = canonical(tree).encode() if own else content
    strings = frozenset(
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    named = {match[1] for text in strings if (match := _PLACE.fullmatch(text))}
    return ModuleSource(
        digest=hashlib.sha256(meaning).hexdigest()[:16],
        imports=frozenset({*_imports(tree), *named}),
        strings=strings,
        counts=not any(_is_mark(statement) for statement in tree.body),
    )


def _imports(node: ast.AST) -> Iterator[str]:
    """Modules that the code below imports at run time; `from a import b` may mean the module a.b.
    The package has no relative imports."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for statement in child.orelse:
                yield from _imports(statement)
            continue
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom) and child.module and not child.level:
            yield child.module
            yield from (f"{child.module}.{alias.name}" for alias in child.names)
        yield from _imports(child)


def canonical(tree: ast.Module) -> str:
    """The syntax tree as text, without positions, comments and docstrings, and equal in every
    version of Python (`ast.dump` writes empty fields in some)."""
    return "\n".join(_written(tree))


def _written(node: ast.AST) -> Iterator[str]:
    yield f"({type(node).__name__}"
    for name, value in ast.iter_fields(node):
        if name in _NOT_MEANT or value is None or value == []:
            continue
        yield name
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, ast.AST):
                if not _says_nothing(item, node):
                    yield from _written(item)
            else:
                yield ascii(item)
    yield ")"


def _says_nothing(node: ast.AST, parent: ast.AST) -> bool:
    """Whether a node is a docstring, or another string that is a statement; or an empty piece of a
    formatted string, which Python 3.12 adds."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    return isinstance(parent, ast.JoinedStr) and isinstance(node, ast.Constant) and not node.value


def _is_mark(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Assign)
        and ast.unparse(statement) == "NUMBERS_DEPEND_ON_THIS = False"
    )


def _left_out(module: str) -> bool:
    return module in (_PACKAGE, _ROOM) or module.startswith(f"{_ROOM}.")


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


def _is_file(module: str) -> bool:
    return module.endswith(".py")


@functools.cache
def _file_below(folder: Path, parts: tuple[str, ...]) -> Path | None:
    path = folder.joinpath(*parts)
    for file in (path.with_suffix(".py"), path / "__init__.py"):
        if file.is_file() and file != folder.with_suffix(".py"):
            return file
    return None
