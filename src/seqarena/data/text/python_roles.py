"""The embedded tagging data: functions of Python's standard library, each token with its role.

    keyword operator number string      what the token is
    function parameter variable         what a name was made as in this function
    attribute argument                  a name behind a dot; a name in a call, f(name=...)
    builtin global                      any other name

Whether a name is a parameter, a variable or neither is told by other places of the function, often
far away: the task needs context in both directions. A string stands as two quotes. Versions of
Python differ a little, hence the version in ORIGIN and the digest that every record carries.
"""

import ast
import builtins
import importlib.util
import io
import keyword
import platform
import tokenize
from bisect import bisect_left, bisect_right
from collections.abc import Iterator

from seqarena.core.errors import UserError
from seqarena.data.text.tagged import Sentence

ORIGIN = f"functions of the standard library of Python {platform.python_version()}"
_MODULES = (
    "argparse", "calendar", "cmd", "codecs", "configparser", "copy", "csv", "dataclasses",
    "difflib", "fractions", "functools", "gettext", "heapq", "inspect", "optparse", "pickle",
    "plistlib", "pprint", "queue", "random", "shutil", "smtplib", "statistics", "string",
    "tarfile", "tempfile", "textwrap", "threading", "typing", "weakref", "zipfile",
)  # fmt: skip
_SHORTEST, _LONGEST = 12, 128  # tokens of a function
_KINDS = {tokenize.OP: "operator", tokenize.NUMBER: "number", tokenize.STRING: "string"}
_BUILTINS = frozenset(dir(builtins))
_Function = ast.FunctionDef | ast.AsyncFunctionDef


def python_sentences() -> list[Sentence]:
    """The functions, in the order of their modules. Raises UserError where Python comes without
    the sources of its library."""
    sentences = []
    for module in _MODULES:
        spec = importlib.util.find_spec(module)
        if spec is None or not (spec.origin or "").endswith(".py"):
            continue
        with tokenize.open(str(spec.origin)) as file:
            sentences += roles(file.read())
    if not sentences:
        raise UserError("this Python comes without sources, the default data: name a file instead")
    return sentences


def roles(source: str) -> list[Sentence]:
    """The functions of a module that are of middling length, plain ASCII and without f-strings
    (which Python 3.12 began to cut into tokens)."""
    lines = source.splitlines(keepends=True)
    tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    starts = [token.start[0] for token in tokens]
    found = []
    for function in _functions(ast.parse(source)):
        first, last = function.lineno, function.end_lineno or function.lineno
        if not "".join(lines[first - 1 : last]).isascii() or _has_format_string(function):
            continue
        skip = _docstring_line(function)
        inside = [
            token
            for token in tokens[bisect_left(starts, first) : bisect_right(starts, last)]
            if (token.type in _KINDS or token.type == tokenize.NAME) and token.start[0] != skip
        ]
        if _SHORTEST <= len(inside) <= _LONGEST:
            found.append(_tagged(function, inside))
    return found


def _functions(tree: ast.Module) -> Iterator[_Function]:
    """Of the module and of its classes."""
    for node in tree.body:
        for inner in node.body if isinstance(node, ast.ClassDef) else [node]:
            if isinstance(inner, _Function):
                yield inner


def _tagged(function: _Function, tokens: list[tokenize.TokenInfo]) -> Sentence:
    parameters = {node.arg for node in ast.walk(function) if isinstance(node, ast.arg)}
    variables = {
        node.id
        for node in ast.walk(function)
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)
    }
    variables |= {
        node.name
        for node in ast.walk(function)
        if isinstance(node, ast.ExceptHandler | _Function) and node is not function and node.name
    }
    named = {
        (node.lineno, node.col_offset)
        for node in ast.walk(function)
        if isinstance(node, ast.Name | ast.arg)
    }
    words, tags, before = [], [], ""
    for token in tokens:
        text = '""' if token.type == tokenize.STRING else token.string
        if token.type in _KINDS:
            tag = _KINDS[token.type]
        elif keyword.iskeyword(text):
            tag = "keyword"
        elif before in (".", "def", "class"):
            tag = "attribute" if before == "." else "function"
        elif token.start in named or text in variables:
            tag = _role(text, parameters, variables)
        else:
            tag = "argument"
        words.append(text)
        tags.append(tag)
        before = text
    return Sentence(tuple(words), tuple(tags))


def _role(name: str, parameters: set[str], variables: set[str]) -> str:
    if name in parameters:
        return "parameter"
    if name in variables:
        return "variable"
    return "builtin" if name in _BUILTINS else "global"


def _has_format_string(function: _Function) -> bool:
    return any(isinstance(node, ast.JoinedStr) for node in ast.walk(function))


def _docstring_line(function: _Function) -> int:
    """The line that the docstring starts on; 0 where there is none."""
    head = function.body[0]
    if isinstance(head, ast.Expr) and isinstance(head.value, ast.Constant):
        return head.lineno if isinstance(head.value.value, str) else 0
    return 0
