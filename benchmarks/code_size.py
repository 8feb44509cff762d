"""How large the code is: lines, long modules and functions, and cycles of imports.

    python benchmarks/code_size.py

Prints one JSON object:

- ``code lines``: of the library without ``samples/``. Blank lines, comments and docstrings do
  not count.
- ``rules``: lines of ``rules/*.smk`` without blank lines and comments, and lines per rule.
- ``modules over 400 lines``: all lines of a file count.
- ``functions over 60 lines``: from ``def`` to the last line, without the decorators.
- ``import cycles``: groups of modules that import each other, also by imports inside functions.
"""

import ast
import io
import json
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).parents[1]
PACKAGE = PROJECT / "workflow" / "scripts" / "affectlab"
MODULE_LIMIT = 400
FUNCTION_LIMIT = 60
RULE = re.compile(r"^\s*(?:use\s+)?rule\s+\w+.*:\s*$|^\s*checkpoint\s+\w+\s*:\s*$", re.MULTILINE)
NO_CODE = frozenset(
    {
        tokenize.COMMENT,
        tokenize.NL,
        tokenize.NEWLINE,
        tokenize.INDENT,
        tokenize.DEDENT,
        tokenize.ENDMARKER,
    }
)
Scope = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def docstring_lines(tree: ast.Module) -> set[int]:
    """Number the lines of all docstrings, and of the texts that describe attributes."""
    found: set[int] = set()
    for scope in ast.walk(tree):
        if not isinstance(scope, Scope):
            continue
        for statement in scope.body:
            value = statement.value if isinstance(statement, ast.Expr) else None
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                found.update(range(statement.lineno, (statement.end_lineno or 0) + 1))
    return found


def code_lines(text: str) -> int:
    """Count the lines of *text* that hold code."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in NO_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    return len(lines - docstring_lines(ast.parse(text)))


def long_functions(tree: ast.AST, name: str) -> Iterator[tuple[str, int]]:
    """Yield the functions in *tree* over the limit: dotted names after *name*, and lines."""
    for node in ast.iter_child_nodes(tree):
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from long_functions(node, name)
            continue
        inner = f"{name}.{node.name}"
        length = (node.end_lineno or node.lineno) - node.lineno + 1
        if length > FUNCTION_LIMIT and not isinstance(node, ast.ClassDef):
            yield inner, length
        yield from long_functions(node, inner)


def module_name(path: Path) -> str:
    """Return the dotted name of the module at *path*."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(tree: ast.Module, name: str, modules: set[str]) -> set[str]:
    """Return the modules of the library that the module *name* imports, anywhere in its *tree*.

    Imports for type checkers only (``if TYPE_CHECKING``) count as well.
    """
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            # ``from package import module`` needs the module, not the names in the package.
            found.update(one if one in modules else node.module for one in inner)
    return (found & modules) - {name}


def cycles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Return the strongly connected groups of more than one module (Tarjan 1972), sorted."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    groups: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(graph[node]):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            group = [stack.pop()]
            while group[-1] != node:
                group.append(stack.pop())
            if len(group) > 1:
                groups.append(sorted(group))

    for node in sorted(graph):
        if node not in index:
            visit(node)
    return sorted(groups)


def rule_lines(folder: Path) -> dict[str, float]:
    """Count the lines of code and the rules of the rule files in *folder*."""
    text = "".join(path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.smk")))
    stripped = [line.strip() for line in text.splitlines()]
    lines = sum(bool(line) and not line.startswith("#") for line in stripped)
    rules = len(RULE.findall(text))
    return {"lines": lines, "rules": rules, "lines per rule": round(lines / rules, 1)}


def measure() -> dict[str, object]:
    """Return all sizes by name; the longest modules and functions come first."""
    texts = {path: path.read_text(encoding="utf-8") for path in sorted(PACKAGE.rglob("*.py"))}
    names = {path: module_name(path) for path in texts}
    trees = {path: ast.parse(text) for path, text in texts.items()}
    known = set(names.values())
    graph = {names[path]: imports(tree, names[path], known) for path, tree in trees.items()}
    counted = [path for path in texts if "samples" not in path.relative_to(PACKAGE).parts]
    modules = {names[path]: len(texts[path].splitlines()) for path in counted}
    functions = dict(one for path in counted for one in long_functions(trees[path], names[path]))
    over = {name: lines for name, lines in modules.items() if lines > MODULE_LIMIT}
    return {
        "code lines": sum(code_lines(texts[path]) for path in counted),
        "rules": rule_lines(PROJECT / "rules"),
        f"modules over {MODULE_LIMIT} lines": _longest_first(over),
        f"functions over {FUNCTION_LIMIT} lines": _longest_first(functions),
        "import cycles": cycles(graph),
    }


def _longest_first(sizes: dict[str, int]) -> dict[str, int]:
    return dict(sorted(sizes.items(), key=lambda item: (-item[1], item[0])))


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
