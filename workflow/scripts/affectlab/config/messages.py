"""Words for mistakes: what was found, what is allowed, and what was probably meant.

Light on purpose: every Snakemake process, each cluster job's included, imports it.
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import yaml

from affectlab.config.load import LARGEST_INTEGER, as_mapping, parse_yaml, without_secrets
from affectlab.errors import ConfigError

LANGUAGE_CODE = "^[a-z]{2,3}$"

FORMS = {LANGUAGE_CODE: "an ISO 639 code such as ar"}
"""Pattern -> what it means."""


def listed(what: str, mistakes: list[str]) -> str:
    """All *mistakes* in *what* as one message."""
    count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
    return "\n  ".join([f"{count} in {what}:", *mistakes])


def joined(path: str, key: str) -> str:
    """The dotted path of *key* in the block at *path*."""
    return f"{path}.{key}" if path else key


def shown(value: Any, width: int = 60) -> str:
    """*value* as JSON without secrets, cut to *width* characters."""
    text = json.dumps(_with_json_keys(without_secrets(value)), ensure_ascii=False, default=str)
    return text if len(text) <= width else f"{text[: width - 3]}..."


def _with_json_keys(value: Any) -> Any:
    """A copy of *value* whose keys JSON can hold; those of YAML may be dates or bytes."""
    if isinstance(value, Mapping):
        return {
            key if isinstance(key, str | int | float | None) else str(key): _with_json_keys(below)
            for key, below in value.items()
        }
    return [_with_json_keys(below) for below in value] if isinstance(value, list) else value


def nearest(name: str, valid: Iterable[str]) -> str:
    """A hint at the valid name that *name* may be a slip of."""
    names = [str(known) for known in valid]
    if near := difflib.get_close_matches(name, names, n=1, cutoff=0.6):
        return f"; did you mean {near[0]!r}?"
    return f"; known: {', '.join(sorted(names))}" if names else ""


def unknown_name(path: str, name: Any, known: Iterable[str], what: str) -> Iterator[str]:
    """A mistake if *name* is a text that is not among *known*; *what* such names stand for."""
    if isinstance(name, str) and name not in known:
        yield f"{path}: no {what} is called {name!r}{nearest(name, known)}"


def problems(
    keyword: str, path: str, value: Any, expected: Any, schema: Mapping[str, Any]
) -> Iterator[str]:
    """Describe how *value* breaks one keyword of a JSON Schema, in a user's words.

    Args:
        keyword: of JSON Schema, such as ``minimum``.
        path: dotted path of the value; empty for the whole document.
        value: what was found.
        expected: the value of the keyword.
        schema: what the value was checked against.
    """
    here = path or "(top level)"
    found = shown(value)
    match keyword:
        case "additionalProperties":
            known = schema.get("properties", {})
            for key in value:
                if key not in known:
                    yield f"{joined(path, str(key))}: unknown key{nearest(str(key), known)}"
        case "required":
            yield f"{joined(path, str(expected))}: missing"
        case "type":
            kinds = [expected] if isinstance(expected, str) else expected
            yield f"{here}: expected {' or '.join(kinds)}, found {found}{_hint(value, kinds)}"
        case "enum":
            names = [name if isinstance(name, str) else json.dumps(name) for name in expected]
            near = difflib.get_close_matches(str(value), names, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            yield f"{here}: expected one of {', '.join(names)}, found {found}{hint}"
        case "minimum":
            yield f"{here}: expected at least {expected}, found {found}"
        case "exclusiveMinimum":
            yield f"{here}: expected more than {expected}, found {found}"
        case "maximum":
            yield f"{here}: expected at most {expected}, found {found}"
        case "exclusiveMaximum":
            yield f"{here}: expected less than {expected}, found {found}"
        case "minItems" | "minProperties" | "minLength":
            yield f"{here}: expected at least {expected}, found {len(value)}"
        case "maxItems":
            yield f"{here}: expected at most {expected}, found {len(value)}"
        case "uniqueItems":
            yield f"{here}: the same value stands here twice: {found}"
        case "pattern":
            form = FORMS.get(expected, f"of the form {expected}")
            yield f"{here}: {found} is not {form}"


def is_kind(value: Any, kind: str) -> bool:
    """Whether *value* is of the type *kind* of JSON Schema, as we read it.

    JSON Schema takes 3.0 for an integer, and what counts with it would fail hours later. YAML
    knows .nan and .inf, which break no bounds.
    """
    match kind:
        case "integer":
            return is_integer(value)
        case "number":
            return is_integer(value) or (isinstance(value, float) and math.isfinite(value))
        case "boolean":
            return isinstance(value, bool)
        case "null":
            return value is None
        case _:
            known = {"string": str, "array": list, "object": Mapping}
            return isinstance(value, known[kind])


def is_integer(found: Any) -> bool:
    """Whether *found* is a whole number that fits 64 bits."""
    return (
        isinstance(found, int)
        and not isinstance(found, bool)
        and -LARGEST_INTEGER <= found < LARGEST_INTEGER
    )


def unbounded(value: Any, path: str = "") -> list[str]:
    """Mistakes of whole numbers in *value* that do not fit 64 bits.

    Not even a message can show them.
    """
    return [f"{place}: a whole number out of bounds" for place in sorted(_unbounded(value, path))]


def _unbounded(value: Any, path: str) -> Iterator[str]:
    """Places of the whole numbers in *value* that do not fit 64 bits."""
    if isinstance(value, Mapping | list):
        items = as_mapping(value).items() if isinstance(value, Mapping) else enumerate(value)
        for key, below in items:
            yield from _unbounded(below, joined(path, str(key)))
    elif isinstance(value, int) and not is_integer(value) and not isinstance(value, bool):
        yield path or "(top level)"


def _hint(value: Any, kinds: Sequence[str]) -> str:
    """How to write *value*, if YAML took it for something other than the expected *kinds*."""
    if isinstance(value, str):
        return _text_hint(value, kinds)
    if "string" in kinds and isinstance(value, bool | int | float):
        return "; put it into quotes" if "object" not in kinds else ""
    return ""


def _text_hint(text: str, kinds: Sequence[str]) -> str:
    """Why something of *kinds* may have come as a text, and how to write it."""
    try:
        meant = parse_yaml(text, "")
    except ConfigError:
        return ""
    if text and any(is_kind(meant, kind) for kind in kinds):
        return (
            f"; write {text} without quotes, in a --configfile: inside --config KEY={{...}} every "
            "value is a text"
        )
    try:
        number = float(text)
    except ValueError:
        return ""
    # YAML takes 2e-4 for a text, since it wants the point: 2.0e-4.
    point = f"; to YAML that is a text, write {yaml.safe_dump(number).split()[0]}"
    return point if "number" in kinds else ""
