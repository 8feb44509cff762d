"""Which source files a script runs, so that editing one reruns exactly the jobs that use it."""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

# A line that begins like an import, and what a backslash or brackets carry on to the next ones.
IMPORTS = re.compile(r"^[ \t]*((?:from|import)\b(?:\\\n|[^\n(])*(?:\([^)]*\))?)", re.MULTILINE)


def imported_sources(script: Path, package: Path, loaded: Iterable[str] = ()) -> list[Path]:
    """The files of *package* that *script* uses, directly or through other modules of it.

    Found by reading, not importing: every ``import``, those inside functions
    included. A file beside a module (a template, a style sheet) counts too if the module
    holds its name as a string. A package's ``__init__.py`` counts only where something
    is imported from the package itself: a new version number alone reruns nothing.

    Args:
        script: a Python file.
        package: folder of the package, e.g. ``.../affectlab``.
        loaded: dotted names of what else the script loads, see `config.dotted.load`. No import
            shows these, so they count where a caller gives them, and nowhere else.

    Returns:
        Absolute paths, sorted, without *script* itself.
    """
    package = package.resolve()
    named = {_module_file(dotted.partition(":")[0], package) for dotted in loaded}
    found = {path for path in named if path}
    waiting = [script.resolve(), *found]
    while waiting:
        for path in _direct_sources(waiting.pop(), package):
            if path not in found:
                found.add(path)
                if path.suffix == ".py":
                    waiting.append(path)
    return sorted(found)


def sources_digest(script: Path, package: Path, loaded: Iterable[str] = ()) -> str:
    """A digest of names and contents of `imported_sources`: equal ones mean equal code."""
    found = hashlib.sha256()
    for path in imported_sources(script, package, loaded):
        found.update(f"{path.relative_to(package.resolve())} {_content_digest(path)}\n".encode())
    return found.hexdigest()[:16]


@cache
def _content_digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@cache
def _direct_sources(path: Path, package: Path) -> frozenset[Path]:
    """Files of *package* that the one file *path* names."""
    text = path.read_text(encoding="utf-8")
    names: set[str] = set()
    for statement in imports(text, package.name):
        if isinstance(statement, ast.Import):
            names.update(alias.name for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom) and statement.module and statement.level == 0:
            # `from a import b`: b is a module of a or a name in a.
            for alias in statement.names:
                submodule = f"{statement.module}.{alias.name}"
                names.add(submodule if _module_file(submodule, package) else statement.module)
    modules = {_module_file(name, package) for name in names}
    beside = _other_files(path.parent) if package in path.parents else frozenset()
    return frozenset(
        {module for module in modules if module}
        | {file for file in beside if f'"{file.name}"' in text}
    )


def imports(text: str, package: str) -> Iterator[ast.stmt]:
    """The imports in the source *text* of which some line names *package*, as statements.

    Parsing whole files would take most of the time that the rules take to be read, so only
    these lines are. Lines of a longer string that look the same are taken for imports.
    """
    for found in IMPORTS.findall(text):
        if package in found:
            try:
                yield from ast.parse(found).body
            except SyntaxError:
                # Prose in a docstring, or a bracket in a comment between the names.
                yield from _all_statements(ast.parse(text))
                return


def _all_statements(tree: ast.AST) -> Iterator[ast.stmt]:
    """All statements, nested ones included: a tenth of the nodes, and every import is one."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        for blocks in ("body", "orelse", "finalbody", "handlers", "cases"):
            for inner in getattr(node, blocks, ()):
                waiting.append(inner)
                if isinstance(inner, ast.stmt):
                    yield inner


@cache
def _module_file(name: str, package: Path) -> Path | None:
    """The file of the dotted module *name*, or None if it is not in *package*."""
    first, *rest = name.split(".")
    if first != package.name:
        return None
    stem = package.joinpath(*rest)
    for path in (stem.with_suffix(".py"), stem / "__init__.py"):
        if path.is_file():
            return path
    return None


@cache
def _other_files(folder: Path) -> frozenset[Path]:
    """Files of *folder* that are not Python."""
    return frozenset(path for path in folder.iterdir() if path.suffix != ".py" and path.is_file())
