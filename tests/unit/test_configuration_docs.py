"""docs/configuration.md explains every key of the schema, in the schema's own words."""

from pathlib import Path

import pytest

from affectlab.core.config import load_schema

PROJECT = Path(__file__).parents[2]


def keys(schema, path=""):
    """(dotted path, description) of every key below *schema*."""
    for name, entry in schema.get("properties", {}).items():
        where = f"{path}.{name}" if path else name
        yield where, entry["description"]
        yield from keys(entry, where)
    if isinstance(schema.get("additionalProperties"), dict):
        yield from keys(schema["additionalProperties"], f"{path}.<name>")


@pytest.mark.parametrize(("path", "description"), list(keys(load_schema(PROJECT, "config"))))
def test_a_key_is_explained(path, description):
    page = (PROJECT / "docs" / "configuration.md").read_text()
    rows = [line for line in page.split("\n") if line.startswith(f"| `{path}` |")]
    assert len(rows) == 1
    assert description in rows[0].replace("\\|", "|")
