"""Checking records against the JSON Schemas in `workflow/schemas/`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from affectlab.config.messages import is_kind, problems, unbounded

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError


def schema_mistakes(value: Any, schema: dict[str, Any], prefix: tuple[str, ...] = ()) -> list[str]:
    """Every way in which *value* breaks *schema*, as ``dotted.path: problem``, sorted."""
    from jsonschema import Draft202012Validator, ValidationError
    from jsonschema.validators import extend

    def pattern(_: Any, expected: str, found: Any, __: Any) -> Iterator[ValidationError]:
        # To Python, "$" fits before a line break at the end too; to JSON Schema it does not.
        strict = re.sub(r"\$$", r"\\Z", expected)
        if isinstance(found, str) and not re.search(strict, found):
            yield ValidationError(f"{found!r} does not match {expected!r}")

    if mistakes := unbounded(value, ".".join(prefix)):
        return mistakes
    types = Draft202012Validator.TYPE_CHECKER.redefine_many(
        {kind: lambda _, found, kind=kind: is_kind(found, kind) for kind in ("integer", "number")}
    )
    validator = extend(Draft202012Validator, {"pattern": pattern}, type_checker=types)(schema)
    errors = validator.iter_errors(value)
    return sorted({text for error in errors for text in _describe(error, prefix)})


def _describe(error: ValidationError, prefix: tuple[str, ...]) -> Iterator[str]:
    """What is wrong, in a user's words; the library's own message quotes whole blocks."""
    path = ".".join([*prefix, *map(str, error.absolute_path)])
    keyword = str(error.validator)
    # Any: the library's types do not tell which keyword goes with which value.
    expected: Any = error.validator_value
    if keyword == "required":
        # jsonschema raises one error per missing key, and says which only in its message.
        expected = error.message.split("'")[1]
    schema: Any = error.schema
    told = list(problems(keyword, path, error.instance, expected, schema))
    yield from told or [f"{path or '(top level)'}: {error.message}"]
