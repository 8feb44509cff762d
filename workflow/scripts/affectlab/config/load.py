"""Read, merge and write YAML: the configuration and the registries beside it.

Light on purpose: every Snakemake process, each cluster job's included, imports it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from affectlab.errors import ConfigError, first_line
from affectlab.files.text import read_text
from affectlab.files.urls import redact

MOST_DEPTH = 40
MOST_VALUES = 100_000
"""Levels and values of one YAML file, aliases counted as often as they are used."""

LARGEST_INTEGER = 2**63


class _UniqueKeyLoader(yaml.CSafeLoader if hasattr(yaml, "CSafeLoader") else yaml.SafeLoader):  # type: ignore[misc]
    """A safe loader to which a key written twice is an error, not the last one wins."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Build the value of *node*; what its tag does not fit is an error with a place."""
        try:
            value = super().construct_object(node, deep)
        except (yaml.YAMLError, MemoryError):
            raise
        except Exception as error:
            # Its constructors raise whatever `int`, `float` or a lookup raises.
            kind = node.tag.rpartition(":")[2]
            raise yaml.MarkedYAMLError(
                problem=f"not a value of the type {kind}", problem_mark=node.start_mark
            ) from error
        if isinstance(value, int) and not -LARGEST_INTEGER <= value < LARGEST_INTEGER:
            raise yaml.MarkedYAMLError(
                problem="a whole number out of bounds", problem_mark=node.start_mark
            )
        return value


def _construct_unique_mapping(loader: Any, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[str] = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise yaml.MarkedYAMLError(
                problem="a key must be a text; braces of a template that was not filled in?",
                problem_mark=key.start_mark,
            )
        if key.tag != "tag:yaml.org,2002:merge":
            if key.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {key.value!r} stands here twice", problem_mark=key.start_mark
                )
            seen.add(key.value)
    loader.flatten_mapping(node)
    return dict(loader.construct_pairs(node, deep=True))


_UniqueKeyLoader.add_constructor("tag:yaml.org,2002:map", _construct_unique_mapping)


def load_yaml(path: Path | str) -> Any:
    """Read one YAML document.

    Raises:
        DataError: the file does not exist or is not UTF-8.
        ConfigError: it is not YAML, or a key stands twice; names file and, if it can, line and
            column.
    """
    return parse_yaml(read_text(path), path)


def parse_yaml(text: str, source: Path | str) -> Any:
    """Read *text* as one YAML document; *source* is where it comes from, for the message.

    Raises:
        ConfigError: see `load_yaml`.
    """
    try:
        _check_extent(text)
        return yaml.load(text, Loader=_UniqueKeyLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        if mark and (tab := _tab_in_indent(text, mark.line)) is not None:
            place = f"line {mark.line + 1}, column {tab + 1}"
            raise ConfigError(f"{source}, {place}: a tab; indent with spaces") from error
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError(f"{source}{place}: {error.problem}") from error
    except (yaml.YAMLError, UnicodeEncodeError) as error:
        # Of control characters and halves of surrogate pairs, which have no place in YAML.
        raise ConfigError(f"{source}: not YAML: {first_line(error)}") from error


def _tab_in_indent(text: str, number: int) -> int | None:
    """Where the white space before the line *number* (from 0) has a tab; None if it has none."""
    lines = text.splitlines()
    line = lines[number] if number < len(lines) else ""
    place = line.find("\t", 0, len(line) - len(line.lstrip()))
    return place if place >= 0 else None


def _check_extent(text: str) -> None:
    """Refuse a document that is nested too deeply, or that its aliases make too large.

    Ten lines of aliases to aliases stand for 10^10 values, and a merge key copies them.

    Raises:
        yaml.YAMLError: it is, or the text is no YAML.
    """

    def refuse(problem: str, event: Any) -> None:
        raise yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)

    sizes: dict[str, int] = {}
    # Anchor and size so far of each collection that is still open, the whole document first.
    opened: list[tuple[str | None, int]] = [(None, 0)]
    for event in yaml.parse(text, Loader=_UniqueKeyLoader):
        anchor, size = getattr(event, "anchor", None), 1
        if isinstance(event, yaml.CollectionStartEvent):
            opened.append((anchor, 1))
            if len(opened) > MOST_DEPTH:
                refuse(f"nested more than {MOST_DEPTH} levels deep", event)
            continue
        if isinstance(event, yaml.AliasEvent):
            if any(name == anchor for name, _ in opened):
                refuse(f"the alias *{anchor} stands inside its own value", event)
            # One without an anchor is reported where the values are built.
            size = sizes.get(str(anchor), 1)
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, size = opened.pop()
        elif not isinstance(event, yaml.ScalarEvent):
            continue
        if anchor is not None and not isinstance(event, yaml.AliasEvent):
            sizes[anchor] = size
        name, before = opened[-1]
        opened[-1] = name, before + size
        if before + size > MOST_VALUES:
            refuse(f"stands for more than {MOST_VALUES:,} values, aliases counted", event)


def merge(base: dict[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of *base* changed by *overlay* as Snakemake does it.

    Mappings are merged at every level; anything else, lists included, is replaced.
    """
    merged = dict(base)
    for key, value in overlay.items():
        if isinstance(value, Mapping):
            below = merged.get(key)
            merged[key] = merge(below if isinstance(below, dict) else {}, value)
        else:
            merged[key] = value
    return merged


def load_config(project: Path, overlays: Iterable[Path | str] = ()) -> dict[str, Any]:
    """The configuration of the checkout *project* with *overlays* put on it, in order.

    Raises:
        ConfigError: a file is not a YAML mapping.
        DataError: a file cannot be read.
    """
    config: dict[str, Any] = {}
    for path in (project / "config" / "config.yaml", *overlays):
        layer = load_yaml(path)
        if layer is None:
            problem = "no keys here, the file is empty or has comments only"
            raise ConfigError(f"{path}: {problem}; leave the file out, or write keys into it")
        if not isinstance(layer, dict):
            raise ConfigError(f"{path}: expected a mapping of keys to values")
        config = merge(config, layer)
    return config


def dump_yaml(value: Any) -> str:
    """*value* as canonical YAML: sorted keys, block style, no aliases."""

    class Plain(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            return True

    return yaml.dump(_plain(value), Dumper=Plain, sort_keys=True, allow_unicode=True)


def _plain(value: Any) -> Any:
    """*value* with every mapping a dict and every sequence a list, as YAML knows them."""
    if isinstance(value, Mapping):
        return {key: _plain(below) for key, below in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(below) for below in value]
    return value


def as_mapping(value: Any) -> Mapping[str, Any]:
    """*value* if it is a mapping, else an empty one: other checks report what is none."""
    return value if isinstance(value, Mapping) else {}


def as_names(value: Any) -> list[str]:
    """The texts in *value* if it is a list, else none."""
    return [name for name in value if isinstance(name, str)] if isinstance(value, list) else []


def without_secrets(value: Any) -> Any:
    """A copy of *value* in which no address holds a password, for files that are passed on."""
    if isinstance(value, Mapping):
        return {key: without_secrets(below) for key, below in value.items()}
    if isinstance(value, list | tuple):
        return [without_secrets(below) for below in value]
    return redact(value) if isinstance(value, str) and "://" in value else value
