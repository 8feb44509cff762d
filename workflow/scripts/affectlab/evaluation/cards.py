"""Model cards in the model hub's format: YAML front matter, then Markdown."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from markupsafe import Markup

from affectlab.config.registries import is_own
from affectlab.evaluation.baseline_names import short_name
from affectlab.evaluation.by_subgroup import (
    score_name,
    shown_scores,
    subgroup_rows,
    subgroup_sentences,
)
from affectlab.evaluation.plan_text import plan_sentences
from affectlab.files.text import read_text

# An underscore inside a word is one; an ampersand matters where it begins an entity.
_SPECIAL = re.compile(r"[\\`*\[\]<>|]|(?<![^\W_])_|_(?![^\W_])|&(?=#?\w+;)")
_AT_START = re.compile(r"^([#+\-=~]+(?=\s|$)|~{3,})")
_CODE_VALUE = re.compile(r"`\{\{([^{}]*)\}\}`")


IMAGE_LAYOUTS = ("fer2013", "ferplus", "image_folder")
"""Layouts of data that have no language."""


def model_index(
    name: str, task: Mapping[str, str], dataset: Mapping[str, str], metrics: Sequence[Any]
) -> list[dict[str, Any]]:
    """The ``model-index`` block, from which the hub shows and compares results.

    Args:
        name: of the model.
        task: ``type`` and ``name``.
        dataset: ``type`` (hub id), ``name``, ``split``.
        metrics: each with ``type``, ``name``, ``value`` and perhaps ``args``.
    """
    result = {"task": dict(task), "dataset": dict(dataset), "metrics": [dict(m) for m in metrics]}
    return [{"name": name, "results": [result]}]


def difference_note(differs: Sequence[str]) -> str:
    """What a card says of scores on data that *differs* (`expectations.differing`), or nothing."""
    if not differs:
        return ""
    return Markup(
        "**This copy of the data is not what the registry describes**: it differs in"
        f" {escaped(', '.join(differs))}. The scores cannot be compared with those on the whole"
        " data set."
    )


def scored_dataset(
    record: Mapping[str, Any], dataset: Mapping[str, Any], differs: Sequence[str]
) -> dict[str, str]:
    """What `model_index` says the scores are of.

    Args:
        record: metrics.json of the run.
        dataset: the registry's entry of its data set.
        differs: see `expectations.differing`. Scores on a copy that differs are not listed under
            the hub's id.
    """
    name = record["data"]["name"]
    identity = {"type": hub_repository(dataset) or name, "name": dataset["title"]}
    if differs:
        identity = {"type": name, "name": f"{dataset['title']}, a copy that differs"}
    return {**identity, "split": record["data"]["split"]}


def data_title(name: str, dataset: Mapping[str, Any], differs: Sequence[str]) -> str:
    """How a card calls a data set; a copy that *differs* has not the registry's title."""
    if differs:
        return Markup("a copy that differs from the registry entry ") + _code_span(name)
    return str(dataset["title"])


def facts_in_use(dataset: Mapping[str, Any], differs: Sequence[str]) -> Mapping[str, Any]:
    """What the registry states about a data set, if the data are those of the registry.

    Args:
        dataset: the registry's entry.
        differs: see `expectations.differing`. Data that differ may be anything, so nothing that the
            registry states holds for them.
    """
    facts: Mapping[str, Any] = {} if differs else dataset.get("facts", {})
    return facts


def language_metadata(languages: Sequence[str]) -> dict[str, list[str]]:
    """``language`` of the front matter; nothing where it is not known."""
    return {"language": sorted(languages)} if languages else {}


def describe_data(name: str, dataset: Mapping[str, Any], differs: Sequence[str]) -> str:
    """Markdown list of what is known of a data set, and of what is not.

    Args:
        name: of the data set.
        dataset: the registry's entry.
        differs: see `facts_in_use`.
    """
    facts = facts_in_use(dataset, differs)
    entry = _code_span(name)
    lines = []
    if differs:
        lines.append(
            f"The data differ from the registry entry {entry}. What the registry states about that"
            " data set is not repeated here."
        )
    elif facts and not (is_own(dataset) or is_generated(dataset) or _is_comparable(dataset)):
        lines.append(
            f"The registry entry {entry} has no counts that these data could be compared with. The"
            " facts below hold only if the data are that data set."
        )
    if is_generated(dataset):
        lines.append("A seeded program made the data. They are of no person.")
    for key, heading in (
        ("languages", "Language"),
        ("about", "Content"),
        ("people", "People in the data"),
        ("labels", "Labels"),
    ):
        value = facts.get(key)
        if value:
            text = ", ".join(value) if key == "languages" else value.strip().rstrip(".")
            lines.append(f"{heading}: {escaped(text)}.")
    missing = [
        words
        for key, words in (
            ("languages", "the language"),
            ("about", "how the items were chosen"),
            ("people", "who is in the data and whether these people agreed"),
            ("labels", "where the labels come from"),
        )
        if key not in facts
        and not is_generated(dataset)
        and not (key == "languages" and dataset.get("layout") in IMAGE_LAYOUTS)
    ]
    if missing:
        lines.append(f"Not known: {'; '.join(missing)}.")
    return Markup("\n".join(f"- {line}" for line in lines))


def path_from(example_path: Path | str, target: Path | str) -> str:
    """The relative path from the folder of an example to a file.

    It holds as long as both stay where they are to each other, and does not name this machine.
    Links are followed, since an example resolves its own path.
    """
    here = Path(example_path).parent.resolve()
    return Path(os.path.relpath(Path(target).resolve(), here)).as_posix()


def traps_of(audit: Mapping[str, Any]) -> list[str]:
    """The sentences of an `audit.json` on what can make a score mean less than it seems."""
    return [trap["sentence"] for trap in audit.get("traps", ())]


def data_limits(audit: Mapping[str, Any]) -> list[str]:
    """The traps in an `audit.json`, and what the scored items can show at all."""
    return [*traps_of(audit), *plan_sentences(audit)]


def subgroup_section(record: Mapping[str, Any]) -> str:
    """The section of a card on scores by subgroup, in Markdown; empty for a run without them.

    Args:
        record: metrics.json of the run.
    """
    blocks = []
    for column, part in record.get("subgroups", {}).items():
        names = [score_name(name) for name in shown_scores(part)]
        lines = [
            f"| {' | '.join([escaped(column), 'n', 'groups', *names])} |",
            f"|{'---|' * (3 + len(names))}",
        ]
        for row in subgroup_rows(part):
            cells = [_score_cell(entry) for entry in row.scores.values()]
            lines.append(
                f"| {' | '.join([escaped(row.name), str(row.n), str(row.groups), *cells])} |"
            )
        sentences = [escaped(one) for one in subgroup_sentences(record, column)]
        blocks.append("\n".join([*lines, "", " ".join(sentences), ""]))
    if not blocks:
        return ""
    return Markup("\n".join(["## Scores by subgroup", "", *blocks]))


def _score_cell(entry: Mapping[str, Any]) -> str:
    low, high = entry["ci"]
    note = "; too few items" if entry["too_small"] else ""
    return f"{entry['value']:.4f} ({low:.4f} to {high:.4f}{note})"


def is_unbalanced(per_class: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether the commonest class has at least twice the items of the rarest one.

    Args:
        per_class: class -> ``support`` and so on, as metrics.json has it.
    """
    sizes = [entry["support"] for entry in per_class.values()]
    return max(sizes) >= 2 * min(sizes)


def _is_comparable(dataset: Mapping[str, Any]) -> bool:
    """Whether the registry has numbers that an audit compares the data with."""
    numbers = ("counts", "classes", "shares", "known_issues")
    return any(name in dataset.get("expected", {}) for name in numbers)


def hub_repository(entry: Mapping[str, Any] | None) -> str | None:
    """The hub id among the sources of a registry entry, if there is one."""
    sources = [] if entry is None else entry["sources"]
    return next(
        (str(source["repo"]) for source in sources if source["kind"] in ("hub", "hub_data")), None
    )


def is_generated(dataset: Mapping[str, Any]) -> bool:
    """Whether the registry's data set is a sample corpus."""
    return {source["kind"] for source in dataset["sources"]} == {"sample"}


def render(template: Path | str, **values: Any) -> str:
    """Fill in a Jinja2 template; a name that it uses and *values* lacks is an error.

    It may extend, include and import templates of its folder.

    In Markdown (``*.md.j2``), every value is plain text: titles, citations and class names come
    from users and registries, and must not become links, headings or HTML. A value of the type
    `Markup` is Markdown already.
    """
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    path = Path(template)
    markdown = path.name.endswith(".md.j2")

    def source(name: str) -> str:
        text = read_text(path.parent / name)
        return _CODE_VALUE.sub(r"{{ (\1) | code_span }}", text) if markdown else text

    environment = Environment(
        loader=FunctionLoader(source),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        # Of Markdown, so that macros give Markup; what is escaped, and how, is `_plain`'s.
        autoescape=markdown,
        finalize=_plain if markdown else None,
    )
    environment.filters["code_span"] = _code_span
    environment.filters["difference"] = _difference
    environment.filters["baseline"] = partial(short_name, experiment=path.parent.name)
    return environment.get_template(path.name).render(**values)


def escaped(text: str) -> str:
    """*text* as Markdown that shows it as it is, in one line, in a table too.

    A space at its start or end stays: what a template joins to a sentence begins with one.
    """
    line = _AT_START.sub(r"\\\1", _SPECIAL.sub(r"\\\g<0>", " ".join(text.split())))
    before = " " if line and text[0].isspace() else ""
    after = " " if line and text[-1].isspace() else ""
    return f"{before}{line}{after}"


def _plain(value: Any) -> Any:
    return Markup(escaped(value)) if isinstance(value, str) and type(value) is str else value


def _code_span(value: Any) -> Markup:
    """*value* between backticks, where nothing can be escaped."""
    line = " ".join(str(value).split()).replace("`", "'")
    return Markup(f"`{line}`".replace("|", "\\|"))


def _difference(entry: Mapping[str, Any]) -> str:
    """A paired difference of metrics.json with its limits."""
    if entry["ci"] is None:
        return f"{entry['value']:+.4f} (no interval)"
    low, high = entry["ci"]
    return f"{entry['value']:+.4f} ({low:+.4f} to {high:+.4f})"


def with_front_matter(metadata: Mapping[str, Any], body: str) -> str:
    """A card: *metadata* between ``---`` lines, then *body*."""
    front = yaml.safe_dump(dict(metadata), sort_keys=False, allow_unicode=True, width=100)
    return f"---\n{front}---\n\n{body.lstrip()}"
