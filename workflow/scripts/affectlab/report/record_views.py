"""Scores and audits as small pages, for readers of Snakemake's own report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from affectlab.evaluation.plan_text import plan_sentences
from affectlab.files.io import read_json, write_text
from affectlab.report.display import baseline_name, limits, number, score_name, signed, term
from affectlab.report.display import signed_limits as signed_interval
from affectlab.report.section import Section, render
from affectlab.report.words import plain

TEMPLATE = Path(__file__).parent / "record_view.html.j2"

LISTED = 5
"""Ids that are shown of a list; the others are counted."""

COLUMNS = 12
"""A table of more columns is too wide to read."""

MEDIAN = "0.5"
"""A key of every mapping from quantiles to values."""

CLASS_COLUMNS = {
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "average_precision": "average precision",
    "threshold": "threshold",
    "support": "n",
    "predicted": "predicted",
}
"""What a record has of each class -> heading of its column."""

READ_ABOVE = ("traps", "plan", "expected")
"""Parts of an audit that the page has as sentences, or in a table of its own."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table of text.

    Attributes:
        caption: what it shows.
        header: a name for each column.
        rows: cells; the first of each is its heading.
    """

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class View:
    """One record as a page.

    Attributes:
        title: of the page.
        sentences: what comes before the tables.
        tables: in their order.
        folded: tables that a reader opens.
    """

    title: str
    sentences: Sequence[str]
    tables: Sequence[Table]
    folded: Sequence[Table] = field(default_factory=tuple)


def write_views(results: Path, sections: Mapping[str, Section], scores: Path, audits: Path) -> None:
    """Write ``<experiment>/<run>/seed<seed>.html`` and ``<experiment>/<data>.html``.

    Args:
        results: the results folder.
        sections: name of an experiment -> its section of the report.
        scores: folder for a page for each run and seed.
        audits: folder for a page for each data set that a run was scored on.

    Raises:
        DataError: an audit is missing or broken.
    """
    for folder in (scores, audits):
        folder.mkdir(parents=True, exist_ok=True)
    for name, section in sections.items():
        for run, seeds in section.runs.items():
            for seed in seeds:
                path = scores / name / run / f"seed{seed.metrics['seed']}.html"
                write_text(path, html_page(scores_view(seed.metrics)))
        for data in dict.fromkeys(note.data for note in section.notes):
            audit = read_json(results / name / "data" / data / "audit.json")
            write_text(audits / name / f"{data}.html", html_page(audit_view(data, audit, name)))


def html_page(view: View) -> str:
    """The text of a page, which needs no other file."""
    return render(TEMPLATE, view=view)


def scores_view(record: Mapping[str, Any]) -> View:
    """The page of a metrics.json."""
    data, experiment = record["data"], record["experiment"]
    level = f"{100 * record['interval']['level']:g}"
    rows = [
        (score_name(name), *_score(entry, experiment)) for name, entry in record["metrics"].items()
    ]
    header = ("score", "value", f"{level} % interval", "strongest trivial baseline", "note")
    tables = [Table("Scores", header, rows), *_classes(record), *_other_splits(record)]
    return View(
        title=f"{record['run']}, seed {record['seed']}: scores",
        sentences=[
            f"Data: {data['name']}, split {data['split']}, n = {data['n']:,} in"
            f" {data['groups']:,} groups. Protocol: {record['protocol']}."
        ],
        tables=[*tables, *_comparisons(record)],
        folded=nested_tables("Details", record.get("details", {}), experiment),
    )


def _score(entry: Mapping[str, Any], experiment: str) -> tuple[str, ...]:
    baseline = entry["baseline"]
    shown = (
        "none"
        if baseline is None
        else f"{number(baseline['value'])} ({baseline_name(baseline['name'], experiment)})"
    )
    below = "worse than the baseline" if entry["below_baseline"] else ""
    return number(entry["value"]), limits(entry["ci"]), shown, below


def _classes(record: Mapping[str, Any]) -> list[Table]:
    classes = record.get("per_class", {})
    known = {key for one in classes.values() for key in one}
    columns = [key for key in CLASS_COLUMNS if key in known]
    rows = [(name, *(shown(one.get(key)) for key in columns)) for name, one in classes.items()]
    header = ("class", *(CLASS_COLUMNS[key] for key in columns))
    return [Table("Classes", header, rows)] if rows else []


def _other_splits(record: Mapping[str, Any]) -> list[Table]:
    """Scores of other splits, a column for each; those that any of them has."""
    splits = {
        name: part["metrics"]
        for name, part in record.get("other_splits", {}).items()
        if part["metrics"]
    }
    if not splits:
        return []
    names = list(dict.fromkeys(score for part in splits.values() for score in part))
    rows = [
        (score_name(score), *(number(part.get(score, {}).get("value")) for part in splits.values()))
        for score in names
    ]
    header = ("score", *(f"{term(name)} (n = {_size(record, name)})" for name in splits))
    return [Table("Other splits and conditions", header, rows)]


def _size(record: Mapping[str, Any], split: str) -> str:
    return plain(record["other_splits"][split].get("n"))


def _comparisons(record: Mapping[str, Any]) -> list[Table]:
    rows = [
        (
            f"{other['with']}, seed {other['seed']}",
            score_name(name),
            signed(entry["value"]),
            signed_interval(entry["ci"]),
        )
        for other in record.get("comparisons", ())
        for name, entry in other["differences"].items()
    ]
    header = ("compared with", "score", "difference", "interval")
    return [Table("Paired differences on the same items", header, rows)] if rows else []


def audit_view(data: str, audit: Mapping[str, Any], experiment: str) -> View:
    """The page of an audit.json.

    Args:
        data: name of the data set.
        audit: its audit.
        experiment: that it belongs to.
    """
    traps = [trap["sentence"] for trap in audit.get("traps", ())]
    problems = traps or ["The audit found no trap that changes the meaning of a score."]
    expected = [
        (row["what"], plain(row["found"]), plain(row["expected"]), row["status"])
        for row in audit.get("expected", ())
    ]
    header = ("what", "found", "expected", "status")
    tables = [Table("Comparison with the registry", header, expected)] if expected else []
    rest = {name: part for name, part in audit.items() if name not in READ_ABOVE}
    counts = {name: rest.pop(name) for name in ("counts",) if name in rest}
    return View(
        title=f"{data}: audit",
        sentences=[*problems, *plan_sentences(audit)],
        tables=[*nested_tables("Counts", counts.get("counts", {}), experiment), *tables],
        folded=[
            table
            for name, part in rest.items()
            for table in nested_tables(_heading(name), part, experiment)
        ],
    )


def nested_tables(caption: str, value: Any, experiment: str) -> list[Table]:
    """A part of a record as tables: single values in one, mappings side by side in another.

    Args:
        caption: of the tables.
        value: any JSON value.
        experiment: that it belongs to, for the names of conditions.
    """
    if not isinstance(value, Mapping) or _is_quantiles(value):
        return [Table(caption, ("", "value"), [(caption, shown(value))])]
    single = {name: part for name, part in value.items() if not _is_nested(part)}
    rows = [(term(str(name), experiment), shown(part)) for name, part in single.items()]
    tables = [Table(caption, ("", "value"), rows)] if rows else []
    parts = {
        term(str(name), experiment): _leaves(part, experiment)
        for name, part in value.items()
        if name not in single
    }
    if not parts:
        return tables
    names = list(dict.fromkeys(name for part in parts.values() for name in part))
    if all(set(part).isdisjoint(_others(parts, name)) for name, part in parts.items()):
        return tables + [
            Table(f"{caption}: {name}", ("", "value"), list(part.items()))
            for name, part in parts.items()
        ]
    if len(parts) <= COLUMNS:
        cells = [(name, *(part.get(name, "–") for part in parts.values())) for name in names]
        return [*tables, Table(caption, ("", *parts), cells)]
    cells = [(name, *(part.get(one, "–") for one in names)) for name, part in parts.items()]
    return [*tables, Table(caption, ("", *names), cells)]


def _others(parts: Mapping[str, Mapping[str, str]], name: str) -> list[str]:
    """The names of the values of all parts but one."""
    return [one for other, part in parts.items() if other != name for one in part]


def _leaves(part: Mapping[str, Any], experiment: str, before: str = "") -> dict[str, str]:
    """The values of nested mappings, by the names that lead to them."""
    found: dict[str, str] = {}
    for key, value in part.items():
        name = f"{before}{term(str(key), experiment)}"
        if _is_nested(value):
            found |= _leaves(value, experiment, f"{name}, ")
        else:
            found[name] = shown(value)
    return found


def _is_nested(value: Any) -> bool:
    return isinstance(value, Mapping) and not _is_quantiles(value)


def _is_quantiles(value: Any) -> bool:
    return isinstance(value, Mapping) and MEDIAN in value


def shown(value: Any) -> str:
    """A value of a record in a cell; of a list its length and the first entries."""
    if isinstance(value, float):
        return number(value)
    if _is_quantiles(value):
        lowest, *_, highest = value.values()
        return f"{shown(lowest)} to {shown(highest)}, median {shown(value[MEDIAN])}"
    if isinstance(value, Mapping):
        return ", ".join(f"{str(key).replace('_', ' ')} {shown(one)}" for key, one in value.items())
    if not isinstance(value, list | tuple):
        return plain(value)
    if not value:
        return "none"
    first = ", ".join(map(_entry, value[:LISTED]))
    rest = len(value) - LISTED
    return f"{first}, and {rest:,} more" if rest > 0 else first


def _entry(value: Any) -> str:
    """An entry of a list; of a list in it, such as a group of duplicates, all in brackets."""
    return f"({shown(value)})" if isinstance(value, Mapping | list | tuple) else shown(value)


def _heading(key: str) -> str:
    words = key.replace("_", " ")
    return words[:1].upper() + words[1:]
