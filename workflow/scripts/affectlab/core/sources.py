"""Which source files a script runs, so that editing one reruns exactly the jobs that use it."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path


def imported_sources(script: Path, package: Path) -> list[Path]:
    """The files of *package* that *script* uses, directly or through other modules of it.

    Found by reading, not importing: every ``import``, those inside functions
    included. A file beside a module whose name the module mentions (a template, a
    style sheet) counts too. A package's ``__init__.py`` counts only where something
    is imported from the package itself: a new version number alone reruns nothing.

    Args:
        script: a Python file.
        package: folder of the package, e.g. ``.../affectlab``.

    Returns:
        Absolute paths, sorted, without *script* itself.
    """
    found: set[Path] = set()
    waiting = [script.resolve()]
    while waiting:
        for path in _direct_sources(waiting.pop(), package.resolve()):
            if path not in found:
                found.add(path)
                if path.suffix == ".py":
                    waiting.append(path)
    return sorted(found)


@cache
def _direct_sources(path: Path, package: Path) -> frozenset[Path]:
    """Files of *package* that the one file *path* names."""
    tree = ast.parse(path.read_bytes(), filename=str(path))
    names: set[str] = set()
    beside: set[Path] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            # `from a import b`: b is a module of a or a name in a.
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                names.add(submodule if _module_file(submodule, package) else node.module)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            candidate = _file_beside(path, node.value)
            if candidate is not None and package in candidate.parents:
                beside.add(candidate)
    modules = {_module_file(name, package) for name in names}
    return frozenset({module for module in modules if module} | beside)


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


def _file_beside(path: Path, text: str) -> Path | None:
    """A non-Python file called *text* in the folder of *path*."""
    if not text or len(text) > 80 or "/" in text or "\n" in text or "\0" in text:
        return None
    if "." not in text or text.endswith(".py"):
        return None
    candidate = path.parent / text
    return candidate if candidate.is_file() else None
