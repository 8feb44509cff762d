"""The registries beside the configuration: what they hold, and mistakes in their entries."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affectlab.config.checks import FLOAT32_BYTES, LARGEST_ONNX_FILE, type_mistakes
from affectlab.config.entries import KINDS
from affectlab.config.load import as_mapping, as_names, load_yaml
from affectlab.config.messages import listed, nearest, problems, shown, unknown_name
from affectlab.errors import ConfigError

NOT_STATED = "not stated"

NOT_STORED = r"\(\d+ names are not stored here\)"
"""What a stored configuration has in the place of names; see `datasets.exclusions`."""

STATED = ("title", "version", "licence", "terms", "citation", "access", "sources")
"""What a data set's entry has to state, unless the data are the user's own."""


LISTABLE = ("table", "spans", "cases", "image_folder")
"""Layouts of data of your own whose items a list can name."""

COLUMN_ROLES: Mapping[str, tuple[str, ...]] = {
    "table": ("text", "label", "group", "id"),
    "spans": ("text", "spans", "span", "start", "end", "label", "group", "id"),
    "cases": ("text", "group", "id"),
    "image_folder": (*("image", "label", "group", "subject", "split", "valence", "arousal", "id"),),
    "audio_folder": ("clip", "label", "subject", "group"),
    "audio_manifest": ("clip", "label", "subject", "group", "split", "duration"),
}
"""Layout -> keys that ``columns`` may have: what its reader takes from a table.

Of cases, the ``fields`` that are written are such keys as well.
"""

SEVERAL_LABELS = ("table", "audio_folder", "audio_manifest")
"""Layouts whose ``label`` may name several columns."""

SUBGROUP_COLUMNS: Mapping[str, tuple[str, ...] | None] = {
    **dict.fromkeys(("table", "image_folder", "audio_manifest", "audio_folder", "spans", "cases")),
    **dict.fromkeys(("ravdess", "emodb"), ("sex",)),
}
"""Layout -> columns that ``subgroups`` may name; None: those of the user's table."""


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


def load_registries(project: Path, config: Mapping[str, Any]) -> Registries:
    """The registries of the checkout *project*, with the entries that *config* adds to them.

    Raises:
        ConfigError: lists every mistake in the registries' files.
    """
    known = {name: load_yaml(project / "config" / f"{name}.yaml") for name in KINDS}
    mistakes = [
        f"config/{name}.yaml: {mistake}"
        for name, content in known.items()
        for mistake in type_mistakes(KINDS[name], content)
    ]
    if mistakes:
        raise ConfigError(listed("the registries", mistakes))
    own = whole_entries(as_mapping(config.get("datasets")), known["datasets"])
    return Registries(
        datasets=known["datasets"] | {name: stated(name, entry) for name, entry in own.items()},
        models=known["models"] | as_mapping(config.get("models")),
        reference_results=known["reference_results"],
    )


def whole_entries(entries: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """The *entries* of a configuration; one with nothing but ``exclude`` has the rest of *known*.

    So items of a shipped data set can be left out without its entry being written again.
    """
    return {
        name: {**known[name], **entry}
        if name in known and set(as_mapping(entry)) == {"exclude"}
        else entry
        for name, entry in entries.items()
    }


def is_own(entry: Any) -> bool:
    """Whether an entry is of data that the user brings by `path` or `hub`."""
    return not {"path", "hub"}.isdisjoint(as_mapping(entry))


def stated(name: str, entry: Any) -> Any:
    """The *entry* of a data set called *name*, with what the user of own data left open."""
    if not is_own(entry):
        return entry
    unknown = dict.fromkeys(("version", "licence", "terms", "citation"), NOT_STATED)
    facts = as_mapping(entry.get("facts"))
    if isinstance(entry.get("language"), str):
        facts = {"languages": [entry["language"]], **facts}
    # The package `datasets` reads it, so it is another kind of source than listed files.
    hub = [{"kind": "hub_data", **as_mapping(entry["hub"])}] if "hub" in entry else []
    return {
        "title": name,
        **unknown,
        "access": "open",
        "sources": hub,
        **entry,
        **({"facts": facts} if facts else {}),
    }


def entry_mistakes(
    config: Mapping[str, Any],
    registries: Registries,
    layouts: Iterable[str],
    generators: Mapping[str, Iterable[str]],
) -> Iterator[str]:
    """Mistakes in the registries that models cannot tell.

    Layouts that no experiment reads, generators that none has, gated data sets that nobody can ask
    for, and open ones that come from nowhere.

    Args:
        config: the configuration, whose own entries are called by their place in it.
        registries: these entries and the shipped ones.
        layouts: known layouts of data sets.
        generators: registry -> names of the generators of its entries.
    """
    for registry, known in generators.items():
        for name, found in getattr(registries, registry).items():
            own = name in as_mapping(config.get(registry))
            path = f"{registry}.{name}" if own else f"config/{registry}.yaml: {name}"
            entry = as_mapping(found)
            yield from _generator_mistakes(path, entry.get("sources"), known)
            if registry == "datasets":
                yield from _choice_mistakes(f"{path}.layout", entry.get("layout"), layouts)
                yield from _access_mistakes(path, entry)
                yield from _withdrawn_mistakes(f"{path}.exclude", as_mapping(entry.get("exclude")))
                split = as_mapping(entry.get("split"))
                yield from _split_mistakes(f"{path}.split", split)
                yield from _subgroup_mistakes(path, entry)
                yield from _column_mistakes(f"{path}.columns", entry)
                if "items" in split and entry.get("layout") not in LISTABLE:
                    yield (
                        f"{path}.split.items: expected one of the layouts {', '.join(LISTABLE)}; "
                        "name a column, or use folders"
                    )


def _choice_mistakes(path: str, value: Any, known: Iterable[str]) -> Iterator[str]:
    if isinstance(value, str) and value and value not in known:
        yield from problems("enum", path, value, list(known), {})


def _generator_mistakes(path: str, sources: Any, known: Iterable[str]) -> Iterator[str]:
    for number, source in enumerate(sources if isinstance(sources, list) else []):
        given = as_mapping(source)
        if given.get("kind") == "sample":
            here = f"{path}.sources.{number}.generator"
            yield from _choice_mistakes(here, given.get("generator"), known)


def _withdrawn_mistakes(path: str, exclude: Mapping[str, Any]) -> Iterator[str]:
    """Counts that a stored configuration has in the place of names."""
    for kind in ("items", "groups"):
        names = exclude.get(kind)
        if isinstance(names, list) and any(re.fullmatch(NOT_STORED, str(name)) for name in names):
            yield (
                f"{path}.{kind}: this is the configuration that a run stored, which names nobody "
                "who withdrew; give the configuration that has their names after it"
            )


def _access_mistakes(path: str, entry: Mapping[str, Any]) -> Iterator[str]:
    for key in STATED:
        if key not in entry:
            yield f"{path}.{key}: missing"
    if {"path", "hub"} <= entry.keys():
        yield f"{path}.hub: path says already where the data are; name one of the two"
    if entry.get("access") == "gated" and "ask" not in entry and not is_own(entry):
        yield f"{path}.ask: missing"
    if entry.get("access") == "open" and entry.get("sources") == [] and not is_own(entry):
        yield f"{path}.sources: expected at least 1, found 0"


def _split_mistakes(path: str, split: Mapping[str, Any]) -> Iterator[str]:
    """Ways of dividing data that exclude each other."""
    ways = [key for key in ("column", "files", "items", "folds") if key in split]
    if len(ways) > 1:
        yield f"{path}.{ways[1]}: {ways[0]} divides the data already; name one of the two"
    shares = [split.get(key) for key in ("test", "validation")]
    numbers = [share for share in shares if isinstance(share, int | float)]
    if "folds" in split and numbers:
        yield f"{path}.folds: with folds every item is tested once; leave out test and validation"
    if len(numbers) == 2 and sum(numbers) >= 1:
        yield f"{path}: test and validation leave nothing to train on"
    if "names" in split and "column" not in split:
        yield f"{path}.names: names belong to a column, and none is given"


def _column_mistakes(path: str, entry: Mapping[str, Any]) -> Iterator[str]:
    """Keys of ``columns`` that the reader of the layout has no use for: nothing would read them."""
    layout, columns = entry.get("layout"), as_mapping(entry.get("columns"))
    if not isinstance(layout, str) or layout not in COLUMN_ROLES:
        return
    known = COLUMN_ROLES[layout]
    if layout == "cases":
        known = (*known, *(as_names(entry.get("fields")) or ["summary"]))
    for role, names in columns.items():
        if role not in known:
            yield f"{path}.{role}: unknown key{_role_meant(str(role), known)}"
        elif isinstance(names, list) and (role != "label" or layout not in SEVERAL_LABELS):
            yield f"{path}.{role}: expected the name of one column, found {shown(names)}"


def _role_meant(role: str, known: Sequence[str]) -> str:
    """A hint at the key that *role* is a slip of, and all keys."""
    lowered = role.strip().lower()
    near = nearest(lowered, known)
    expected = f"; expected {', '.join(known)}"
    return f"{near.removesuffix('?')}?{expected}" if "did you mean" in near else expected


def _subgroup_mistakes(path: str, entry: Mapping[str, Any]) -> Iterator[str]:
    """Subgroups of data that have no such column, or no scores by subgroup."""
    layout, names = entry.get("layout"), as_names(entry.get("subgroups"))
    if not names or not isinstance(layout, str):
        return
    if layout not in SUBGROUP_COLUMNS:
        yield (
            f"{path}.subgroups: data of the layout {layout} have no scores by subgroup; leave the "
            f"key out (layouts that have: {', '.join(SUBGROUP_COLUMNS)})"
        )
        return
    label = as_mapping(entry.get("columns")).get("label", "label")
    for place, name in enumerate(names):
        if name in (label if isinstance(label, list) else [label]):
            yield (
                f"{path}.subgroups.{place}: {name!r} holds the classes themselves; the scores of "
                "each class are in the report anyway"
            )
    if (known := SUBGROUP_COLUMNS[layout]) is not None:
        for place, name in enumerate(names):
            if name not in known:
                yield (
                    f"{path}.subgroups.{place}: data of the layout {layout} do not state {name!r}; "
                    f"expected {' or '.join(known)}"
                )


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


def export_mistakes(
    experiment: str, block: Mapping[str, Any], registries: Registries
) -> Iterator[str]:
    """Names in ``export`` that are no run, or one too large for a file."""
    runs = as_mapping(block.get("runs"))
    for position, name in enumerate(as_names(block.get("export"))):
        path = f"{experiment}.export.{position}"
        yield from unknown_name(path, name, runs, "run")
        model = as_mapping(runs.get(name)).get("model")
        weights = as_mapping(registries.models.get(str(model))).get("parameters")
        if isinstance(weights, int) and weights * FLOAT32_BYTES >= LARGEST_ONNX_FILE:
            yield (
                f"{path}: the {weights:,} weights of {model} are "
                f"{weights * FLOAT32_BYTES / 1e9:.1f} GB in float32, and one ONNX file holds "
                f"{LARGEST_ONNX_FILE / 1e9:.1f} GB"
            )
