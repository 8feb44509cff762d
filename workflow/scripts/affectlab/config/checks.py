"""Mistakes in the configuration: all of them, each with its dotted path.

`type_mistakes` tells what breaks the models; the other functions tell what models cannot, such as
names that nothing has.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from affectlab.config.load import as_mapping, as_names
from affectlab.config.messages import joined, nearest, problems, shown, unbounded, unknown_name
from affectlab.config.models import (
    Section,
    adapter,
    choices,
    condition_of,
    inner_schema,
    inner_section,
    json_schema,
)
from affectlab.files.io import user_path

FLOAT32_BYTES = 4
OUTSIDE = "predictions"
"""The method of runs that score a table of predictions, and their block."""

WITHOUT_TRAINING = (OUTSIDE, "pretrained", "prompt")
"""Methods that score predictions without training anything for them."""

LARGEST_ONNX_FILE = 2**31
"""Bytes that one ONNX file, a protocol buffer, can hold."""

WITHOUT_TOKENS = {"token_budget": None, "gradient_checkpointing": False, "sparse_embeddings": False}
"""What a training block has to hold where the items are no texts."""

KEYWORDS = {
    "extra_forbidden": "additionalProperties",
    "missing": "required",
    "literal_error": "enum",
    "union_tag_invalid": "enum",
    "union_tag_not_found": "required",
    "greater_than_equal": "minimum",
    "greater_than": "exclusiveMinimum",
    "less_than_equal": "maximum",
    "less_than": "exclusiveMaximum",
    "too_long": "maxItems",
    "too_short": "minItems",
    "string_too_short": "minLength",
    "string_pattern_mismatch": "pattern",
    "pattern": "pattern",
    "unique": "uniqueItems",
}
"""pydantic's name of an error -> the keyword of JSON Schema that is broken; others: ``type``."""

OF_KEYS = "[key]"
"""What pydantic calls the place of an error in a key, as opposed to its value."""


def type_mistakes(kind: Any, value: Any, prefix: str = "") -> list[str]:
    """Every way in which *value* is not of the type *kind*, as ``dotted.path: problem``, sorted.

    Args:
        kind: a section, or a type such as a mapping of names to sections.
        value: what was read.
        prefix: dotted path of *value*.
    """
    if mistakes := unbounded(value, prefix):
        return mistakes
    try:
        adapter(kind).validate_python(value)
    except ValidationError as error:
        schema = json_schema(kind)
        found = error.errors(include_url=False, include_context=True)
        return sorted({text for one in found for text in _describe(one, schema, prefix)})
    return []


def _describe(error: Any, root: dict[str, Any], prefix: str) -> Iterator[str]:
    """One error of pydantic in a user's words."""
    place, of_key = error["loc"], False
    if place and place[-1] == OF_KEYS:
        place, of_key = place[:-2], True
    kind, value = error["type"], error["input"]
    if kind == "invalid_key" or (of_key and kind == "string_type"):
        # `key_mistakes` reports it, with the way to write it.
        return
    keyword = KEYWORDS.get(kind, "type")
    if of_key and keyword == "enum":
        path, node = _locate(root, place, prefix)
        yield from _unknown_key(path, value, inner_schema(root, node))
        return
    if keyword in ("additionalProperties", "required"):
        place, key = (place, None) if kind == "union_tag_not_found" else (place[:-1], place[-1])
    path, node = _locate(root, place, prefix)
    inner = inner_schema(root, node)
    if "discriminator" in inner and keyword in ("enum", "required"):
        key = inner["discriminator"]["propertyName"]
        expected = list(inner["discriminator"]["mapping"]) if keyword == "enum" else key
        path = joined(path, key) if keyword == "enum" else path
        value = as_mapping(value).get(key)
    elif keyword == "additionalProperties":
        value, expected = {key: value}, None
    elif keyword == "required":
        expected = key
    elif keyword == "type":
        expected = _kinds(root, node)
    elif keyword == "enum":
        expected = inner["enum"] if "enum" in inner else [inner["const"]]
    elif keyword == "pattern":
        expected = error["ctx"]["pattern"]
    elif keyword == "minItems" and "minProperties" in inner:
        expected = inner["minProperties"]
    else:
        expected = inner.get(keyword)
    yield from problems(keyword, path, value, expected, inner)


def _unknown_key(path: str, key: str, schema: Mapping[str, Any]) -> Iterator[str]:
    """A key of a mapping whose keys are fixed names, which its *schema* lists."""
    names = schema["propertyNames"]
    known = names["enum"] if "enum" in names else [names["const"]]
    yield f"{joined(path, key)}: unknown key{nearest(key, known)}"


def _locate(
    root: dict[str, Any], place: Sequence[int | str], prefix: str
) -> tuple[str, dict[str, Any]]:
    """The dotted path of pydantic's *place*, and the part of the JSON Schema *root* that rules it.

    pydantic puts the name of the kind between the parts of a place where kinds differ.
    """
    path, node = prefix, root
    for step in place:
        node = inner_schema(root, node)
        if "discriminator" in node:
            node = {"$ref": node["discriminator"]["mapping"][step]}
            continue
        path = joined(path, str(step))
        below = node.get("properties", {}).get(step, node.get("additionalProperties"))
        node = node.get("items", {}) if isinstance(step, int) else below or {}
    return path, node


def _kinds(root: dict[str, Any], node: dict[str, Any]) -> list[str]:
    """The types of JSON Schema that a value may have at *node*."""
    parts = node.get("anyOf", [node])
    return [inner_schema(root, part).get("type", "object") for part in parts]


def key_mistakes(value: Any, path: str = "") -> Iterator[str]:
    """Keys in *value*, at every level, that are no texts, as ``1``, ``on`` and ``no`` in YAML."""
    if isinstance(value, list):
        for position, item in enumerate(value):
            yield from key_mistakes(item, joined(path, str(position)))
    if not isinstance(value, Mapping):
        return
    for key, below in value.items():
        place = joined(path, str(key))
        if not isinstance(key, str):
            yield f"{place}: to YAML this key is {shown(key)}, not a text; put it into quotes"
        yield from key_mistakes(below, place)


def folder_mistakes(config: Mapping[str, Any]) -> Iterator[str]:
    """Folders of local copies that are not there: nothing would be found, without a message.

    Or that may not be entered.
    """
    for name in ("data_root", "model_root"):
        root = config.get(name)
        if not isinstance(root, str):
            continue
        folder = user_path(root)
        if not os.path.isdir(folder):  # noqa: PTH112 (that of `Path` raises where it may not look)
            yield f"{name}: no folder {root!r}, seen from {Path.cwd()}"
        elif not os.access(folder, os.X_OK):
            yield f"{name}: the folder {root!r} may not be entered"


def selection_mistakes(experiment: str, block: Mapping[str, Any]) -> Iterator[str]:
    """Names in ``selected`` that are no run."""
    runs = as_mapping(block.get("runs"))
    for position, name in enumerate(as_names(block.get("selected"))):
        yield from unknown_name(f"{experiment}.selected.{position}", name, runs, "run")


def misplaced_keys(
    path: str, section: type[Section], value: Any, around: Mapping[str, Any] | None = None
) -> Iterator[str]:
    """Keys that a block has though its method, protocol or kind has no use for them.

    Args:
        path: dotted path of the block.
        section: the model of the block.
        value: the block.
        around: choices made in the blocks around it.
    """
    given = as_mapping(value)
    known = {**(around or {}), **choices(section, given)}
    for name, field in section.model_fields.items():
        condition = condition_of(field)
        if name not in given:
            continue
        if condition and condition.key in known and not condition.fits(known):
            chosen = known[condition.key]
            yield f"{path}.{name}: does not go with {condition.key} {chosen!r}"
        elif (inside := inner_section(field.annotation)) and inside[0] == "one":
            yield from misplaced_keys(f"{path}.{name}", inside[1], given[name], known)


def fixed_mistakes(path: str, training: Any, fixed: Mapping[str, Any], what: str) -> Iterator[str]:
    """Keys of a training block that *what* can have one value of only, and that have another."""
    for name, value in fixed.items():
        found = as_mapping(training).get(name, value)
        if found != value:
            yield f"{path}.{name}: {what} needs {json.dumps(value)}, found {json.dumps(found)}"


def outside_mistakes(path: str, run: Mapping[str, Any]) -> Iterator[str]:
    """Report what a run on somebody else's predictions lacks.

    Args:
        path: dotted path of the run.
        run: the complete run, or what was given for it.
    """
    if run.get("method") != OUTSIDE:
        return
    block = as_mapping(run.get(OUTSIDE))
    if isinstance(run.get(OUTSIDE, {}), Mapping) and block.get("path", "") == "":
        yield f"{path}.{OUTSIDE}.path: expected the table of the predictions"
    seeds = run.get("seeds")
    if (
        isinstance(seeds, list)
        and len(seeds) > 1
        and as_mapping(block.get("columns")).get("seed") is None
    ):
        yield (
            f"{path}.seeds: the table has one model, as {OUTSIDE}.columns.seed names no column; "
            f"expected one seed, found {len(seeds)}"
        )


def outside_file_mistakes(experiment: str, block: Mapping[str, Any]) -> Iterator[str]:
    """Report files of selected runs on somebody else's predictions that are not there."""
    runs = as_mapping(block.get("runs"))
    for name in as_names(block.get("selected")):
        run = as_mapping(runs.get(name))
        if run.get("method") != OUTSIDE:
            continue
        for key in ("path", "trained_on"):
            given = as_mapping(run.get(OUTSIDE)).get(key)
            named = isinstance(given, str) and given != ""
            if named and not os.path.isfile(user_path(str(given))):  # noqa: PTH113 (as above)
                yield (
                    f"{experiment}.runs.{name}.{OUTSIDE}.{key}: no file {given!r}, seen from "
                    f"{Path.cwd()}"
                )


def outside_export_mistakes(experiment: str, block: Mapping[str, Any]) -> Iterator[str]:
    """Report runs that are to be exported and train nothing: they have no model of their own."""
    runs = as_mapping(block.get("runs"))
    for position, name in enumerate(as_names(block.get("export"))):
        method = as_mapping(runs.get(name)).get("method")
        if method in WITHOUT_TRAINING:
            yield (
                f"{experiment}.export.{position}: the run {name!r} (method {method}) trains no "
                "model that could be exported"
            )


def training_mistakes(path: str, training: Any) -> Iterator[str]:
    """Mistakes in a block of `config.models.Training` that its model cannot tell."""
    warmup = as_mapping(training).get("warmup_steps")
    if isinstance(warmup, float) and warmup > 1:
        yield (
            f"{path}.warmup_steps: with a point it is a share of all steps, at most 1.0; "
            f"found {warmup}"
        )
