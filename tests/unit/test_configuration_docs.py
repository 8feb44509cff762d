"""docs/configuration.md explains every key of the schemas, in their own words, and no other."""

import re
from pathlib import Path

import pytest

from affectlab.config.load import load_schema

PROJECT = Path(__file__).parents[2]
BOUNDS = {"exclusiveMinimum": "> ", "minimum": "≥ ", "exclusiveMaximum": "< ", "maximum": "≤ "}


def keys(schema, path=""):
    """(dotted path, entry) of every key below *schema*."""
    for name, entry in schema.get("properties", {}).items():
        where = f"{path}.{name}" if path else name
        yield where, entry
        yield from keys(entry, where)
    if isinstance(below := schema.get("additionalProperties"), dict):
        # Of a name that is free to choose only what it holds needs a row, or the list that it is.
        if below["type"] == "array":
            yield f"{path}.<name>", below
        yield from keys(below, f"{path}.<name>")
    if isinstance(item := schema.get("items"), dict):
        yield from keys(item, f"{path}.<number>")
    for case in schema.get("allOf", []):
        # The keys of the kinds of a source; the kind itself was there already.
        yield from (found for found in keys(case["then"], path) if "const" not in found[1])


def form(entry):
    """What the page calls the type of *entry*."""
    if "enum" in entry:
        return ", ".join("null" if value is None else f"`{value}`" for value in entry["enum"])
    kinds = [entry["type"]] if isinstance(entry["type"], str) else entry["type"]
    words = [{"object": "block", "array": "list of "}.get(kinds[0], kinds[0])]
    if kinds[0] == "array":
        item = entry["items"]
        plural = {"integer": "integers", "number": "numbers", "object": "blocks", "string": "names"}
        # Addresses and requirements are no names.
        free = "pattern" in item and item["pattern"] != "^[a-z][a-z0-9_]*$"
        words[0] += form(item) if "enum" in item else "strings" if free else plural[item["type"]]
    words += [sign + str(entry[name]) for name, sign in BOUNDS.items() if name in entry]
    return ", ".join(words + ["or null"] * ("null" in kinds))


def found_keys():
    found = dict(keys(load_schema(PROJECT, "config")))
    for registry in ("datasets", "models"):
        for where, entry in keys(load_schema(PROJECT, registry), registry):
            found.setdefault(where, entry)
    return found


def rows():
    page = (PROJECT / "docs" / "configuration.md").read_text()
    keys_part = page[page.index("## Keys") :]
    return re.findall(r"^\| `([^`]+)` \| (.*?) \| (.*) \|$", keys_part, re.MULTILINE)


@pytest.mark.parametrize(("path", "entry"), list(found_keys().items()))
def test_a_key_is_explained(path, entry):
    assert [row for row in rows() if row[0] == path] == [(path, form(entry), entry["description"])]


def test_no_other_key_is():
    assert {row[0] for row in rows()} == set(found_keys())
