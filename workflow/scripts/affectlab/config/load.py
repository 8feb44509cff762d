"""Reading, merging and checking the configuration and the registries.

Light on purpose: every Snakemake process, each cluster job's included, imports it.
"""

from __future__ import annotations

import difflib
import json
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from affectlab.errors import ConfigError, first_line
from affectlab.files.io import read_text, user_path
from affectlab.files.urls import redact

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

FLOAT32_BYTES = 4
LARGEST_ONNX_FILE = 2**31
"""Bytes that one ONNX file, a protocol buffer, can hold."""

MOST_DEPTH = 40
MOST_VALUES = 100_000
"""Levels and values of one YAML file, aliases counted as often as they are used."""

LARGEST_INTEGER = 2**63

WITHOUT_TOKENS = {"token_budget": None, "gradient_checkpointing": False, "sparse_embeddings": False}
"""What a training block has to hold where the items are no texts."""


@dataclass(frozen=True, slots=True)
class Registries:
    """What is known beside the configuration: ``datasets.yaml`` and its siblings.

    Attributes:
        datasets: name -> entry.
        models: name -> entry.
        reference_results: published numbers, in the file's order.
    """

    datasets: dict[str, dict[str, Any]]
    models: dict[str, dict[str, Any]]
    reference_results: list[dict[str, Any]]


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


def load_registries(project: Path, config: Mapping[str, Any]) -> Registries:
    """The registries of the checkout *project*, with the entries that *config* adds to them.

    Raises:
        ConfigError: lists every mistake in the registries' files.
    """
    known = {
        name: load_yaml(project / "config" / f"{name}.yaml")
        for name in ("datasets", "models", "reference_results")
    }
    mistakes = [
        f"config/{name}.yaml: {mistake}"
        for name, content in known.items()
        for mistake in schema_mistakes(content, load_schema(project, name))
    ]
    if mistakes:
        raise ConfigError(listed("the registries", mistakes))
    own = {name: config.get(name) for name in ("datasets", "models")}
    return Registries(
        datasets=known["datasets"] | (own["datasets"] if isinstance(own["datasets"], dict) else {}),
        models=known["models"] | (own["models"] if isinstance(own["models"], dict) else {}),
        reference_results=known["reference_results"],
    )


def load_schema(project: Path, name: str) -> dict[str, Any]:
    """The JSON Schema *name* of the checkout *project*.

    ``{"$ref": "other.schema.json"}`` in it is replaced by that schema, so that a block which
    several experiments share is written once.
    """

    def resolved(value: Any) -> Any:
        if isinstance(value, list):
            return [resolved(item) for item in value]
        if not isinstance(value, dict):
            return value
        reference = value.get("$ref", "")
        if reference.endswith(".schema.json"):
            return load_schema(project, reference.removesuffix(".schema.json"))
        return {key: resolved(below) for key, below in value.items()}

    path = project / "workflow" / "schemas" / f"{name}.schema.json"
    return {
        key: value
        for key, value in resolved(json.loads(path.read_text(encoding="utf-8"))).items()
        if key not in ("$schema", "$id")
    }


def schema_mistakes(value: Any, schema: dict[str, Any], prefix: tuple[str, ...] = ()) -> list[str]:
    """Every way in which *value* breaks *schema*, as ``dotted.path: problem``, sorted."""
    from jsonschema import Draft202012Validator, ValidationError
    from jsonschema.validators import extend

    def pattern(_: Any, expected: str, found: Any, __: Any) -> Iterator[ValidationError]:
        # To Python, "$" fits before a line break at the end too; to JSON Schema it does not.
        strict = re.sub(r"\$$", r"\\Z", expected)
        if isinstance(found, str) and not re.search(strict, found):
            yield ValidationError(f"{found!r} does not match {expected!r}")

    if unbounded := sorted(_unbounded(value, ".".join(prefix))):
        # Not even a message can show them.
        return [f"{place}: a whole number out of bounds" for place in unbounded]

    # JSON Schema takes 3.0 for an integer, and what counts with it would fail hours later. YAML
    # knows .nan and .inf, which break no bounds.
    types = Draft202012Validator.TYPE_CHECKER.redefine_many(
        {
            "integer": lambda _, found: _is_integer(found),
            "number": lambda _, found: (
                _is_integer(found) or (isinstance(found, float) and math.isfinite(found))
            ),
        }
    )
    validator = extend(Draft202012Validator, {"pattern": pattern}, type_checker=types)(schema)
    errors = validator.iter_errors(value)
    return sorted({text for error in errors for text in _describe(error, prefix)})


def _unbounded(value: Any, path: str) -> Iterator[str]:
    """Places of whole numbers in *value* that do not fit 64 bits."""
    if isinstance(value, Mapping | list):
        items = value.items() if isinstance(value, Mapping) else enumerate(value)
        for key, below in items:
            yield from _unbounded(below, _join(path, str(key)))
    elif isinstance(value, int) and not _is_integer(value) and not isinstance(value, bool):
        yield path or "(top level)"


def _is_integer(found: Any) -> bool:
    """Whether *found* is a whole number that fits 64 bits."""
    return (
        isinstance(found, int)
        and not isinstance(found, bool)
        and -LARGEST_INTEGER <= found < LARGEST_INTEGER
    )


def key_mistakes(value: Any, path: str = "") -> Iterator[str]:
    """Keys in *value*, at every level, that are no texts, as ``1``, ``on`` and ``no`` in YAML."""
    if isinstance(value, list):
        for position, item in enumerate(value):
            yield from key_mistakes(item, _join(path, str(position)))
    if not isinstance(value, Mapping):
        return
    for key, below in value.items():
        place = _join(path, str(key))
        if not isinstance(key, str):
            yield f"{place}: to YAML this key is {_shown(key)}, not a text; put it into quotes"
        yield from key_mistakes(below, place)


def folder_mistakes(config: Mapping[str, Any]) -> Iterator[str]:
    """Folders of local copies that are not there: nothing would be found in them, in silence.

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


def unknown_name(path: str, name: Any, known: Iterable[str], what: str) -> Iterator[str]:
    """A mistake if *name* is a text that is not among *known*; *what* such names stand for."""
    if isinstance(name, str) and name not in known:
        yield f"{path}: no {what} is called {name!r}{_nearest(name, known)}"


def dataset_mistakes(
    path: str, name: Any, registries: Registries, layouts: Iterable[str]
) -> Iterator[str]:
    """A mistake if *name* is no data set of the registry, or of a layout not in *layouts*."""
    yield from unknown_name(path, name, registries.datasets, "data set")
    if isinstance(name, str) and name in registries.datasets:
        layout = as_mapping(registries.datasets[name]).get("layout")
        if isinstance(layout, str) and layout not in layouts:
            experiment = path.partition(".")[0]
            yield (
                f"{path}: {name!r} has the layout {layout!r}, which the {experiment} experiment "
                "cannot read"
            )


def model_mistakes(
    path: str, name: Any, registries: Registries, kinds: Iterable[str]
) -> Iterator[str]:
    """A mistake if *name* is no model of the registry, or of a kind not in *kinds*."""
    yield from unknown_name(path, name, registries.models, "model")
    kind = as_mapping(registries.models.get(str(name))).get("kind")
    if isinstance(kind, str) and kind not in kinds:
        yield f"{path}: {name!r} is of the kind {kind}, expected {' or '.join(sorted(kinds))}"


def fixed_mistakes(path: str, training: Any, fixed: Mapping[str, Any], what: str) -> Iterator[str]:
    """Keys of a training block that *what* can have one value of only, and that have another."""
    for name, value in fixed.items():
        found = as_mapping(training).get(name, value)
        if found != value:
            yield f"{path}.{name}: {what} needs {json.dumps(value)}, found {json.dumps(found)}"


def block_mistakes(
    path: str, run: Mapping[str, Any], blocks_of: Mapping[str, set[str]]
) -> Iterator[str]:
    """Blocks that a run lacks for its method, or has though its method has no use for them.

    Args:
        path: dotted path of the run.
        run: its part of the configuration.
        blocks_of: method -> keys of a run that go with it.
    """
    method = run.get("method")
    if isinstance(method, str) and method in blocks_of:
        of_some_method = set().union(*blocks_of.values())
        for key in sorted(blocks_of[method] - run.keys()):
            yield f"{path}.{key}: missing; method {method!r} needs it"
        for key in sorted((of_some_method - blocks_of[method]) & run.keys()):
            yield f"{path}.{key}: does not go with method {method!r}"


def training_mistakes(path: str, training: Any) -> Iterator[str]:
    """Mistakes in a block of `training.loop.Recipe` that its schema cannot tell."""
    warmup = as_mapping(training).get("warmup_steps")
    if isinstance(warmup, float) and warmup > 1:
        yield (
            f"{path}.warmup_steps: with a point it is a share of all steps, at most 1.0; "
            f"found {warmup}"
        )


def export_mistakes(
    experiment: str, block: Mapping[str, Any], registries: Registries
) -> Iterator[str]:
    """Names in ``export`` that are no run, or one not carried out or too large for a file."""
    runs, selected = as_mapping(block.get("runs")), as_names(block.get("selected"))
    for position, name in enumerate(as_names(block.get("export"))):
        path = f"{experiment}.export.{position}"
        yield from unknown_name(path, name, runs, "run")
        if name in runs and name not in selected:
            yield f"{path}: the run {name!r} is not selected"
        model = as_mapping(runs.get(name)).get("model")
        weights = as_mapping(registries.models.get(str(model))).get("parameters")
        if isinstance(weights, int) and weights * FLOAT32_BYTES >= LARGEST_ONNX_FILE:
            yield (
                f"{path}: the {weights:,} weights of {model} are "
                f"{weights * FLOAT32_BYTES / 1e9:.1f} GB in float32, and one ONNX file holds "
                f"{LARGEST_ONNX_FILE / 1e9:.1f} GB"
            )


def as_mapping(value: Any) -> Mapping[str, Any]:
    """*value* if it is a mapping, else an empty one: the schema reports what is none."""
    return value if isinstance(value, Mapping) else {}


def as_names(value: Any) -> list[str]:
    """The texts in *value* if it is a list, else none."""
    return [name for name in value if isinstance(name, str)] if isinstance(value, list) else []


def listed(what: str, mistakes: list[str]) -> str:
    """All *mistakes* in *what* as one message."""
    count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
    return "\n  ".join([f"{count} in {what}:", *mistakes])


def _nearest(name: str, valid: Iterable[str]) -> str:
    """A hint at the valid name that *name* may be a slip of."""
    names = [str(known) for known in valid]
    if near := difflib.get_close_matches(name, names, n=1, cutoff=0.6):
        return f"; did you mean {near[0]!r}?"
    return f"; known: {', '.join(sorted(names))}" if names else ""


def _describe(error: ValidationError, prefix: tuple[str, ...]) -> Iterator[str]:
    """What is wrong, in a user's words; the library's own message quotes whole blocks."""
    path = ".".join([*prefix, *map(str, error.absolute_path)])
    here = path or "(top level)"
    # Any: the library's types do not tell which keyword goes with which value.
    value: Any = error.instance
    expected: Any = error.validator_value
    schema: Any = error.schema
    found = _shown(value)
    match error.validator:
        case "additionalProperties" if isinstance(value, dict):
            known = schema.get("properties", {})
            for key in value:
                if key not in known:
                    yield f"{_join(path, str(key))}: unknown key{_nearest(str(key), known)}"
        case "required":
            # jsonschema raises one error per missing key, and says which only in its message.
            key = error.message.split("'")[1]
            yield f"{_join(path, key)}: missing"
        case "type":
            kinds = [expected] if isinstance(expected, str) else expected
            hint = _text_hint(value, kinds) if isinstance(value, str) else ""
            yield f"{here}: expected {' or '.join(kinds)}, found {found}{hint}"
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
            yield f"{here}: {found} is not of the form {expected}"
        case _:
            yield f"{here}: {error.message}"


def _text_hint(text: str, kinds: Sequence[str]) -> str:
    """Why something of *kinds* may have come as a text, and how to write it."""
    from jsonschema import Draft202012Validator

    try:
        meant = parse_yaml(text, "")
    except ConfigError:
        return ""
    if text and any(Draft202012Validator.TYPE_CHECKER.is_type(meant, kind) for kind in kinds):
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


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def without_secrets(value: Any) -> Any:
    """A copy of *value* in which no address holds a password, for files that are passed on."""
    if isinstance(value, Mapping):
        return {key: without_secrets(below) for key, below in value.items()}
    if isinstance(value, list | tuple):
        return [without_secrets(below) for below in value]
    return redact(value) if isinstance(value, str) and "://" in value else value


def _shown(value: Any, width: int = 60) -> str:
    text = json.dumps(without_secrets(value), ensure_ascii=False, default=str)
    return text if len(text) <= width else f"{text[: width - 3]}..."
