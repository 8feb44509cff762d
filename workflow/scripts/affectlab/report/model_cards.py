"""Model cards in the model hub's format: YAML front matter, then Markdown."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import yaml
from markupsafe import Markup

from affectlab.config.registries import is_own
from affectlab.evaluation.by_subgroup import shown_scores, subgroup_rows, subgroup_sentences
from affectlab.evaluation.plan_text import plan_sentences
from affectlab.files.text import read_text
from affectlab.report.display import (
    baseline_name,
    limits,
    number,
    score_name,
    signed,
    signed_limits,
    term,
)

# An underscore inside a word is one; an ampersand matters where it begins an entity.
_SPECIAL = re.compile(r"[\\`*\[\]<>|]|(?<![^\W_])_|_(?![^\W_])|&(?=#?\w+;)")
_AT_START = re.compile(r"^([#+\-=~]+(?=\s|$)|~{3,})")
_CODE_VALUE = re.compile(r"`\{\{([^{}]*)\}\}`")


IMAGE_LAYOUTS = ("fer2013", "ferplus", "image_folder")
"""Layouts of data that have no language."""


LICENCE_FILE = "LICENSE.md"
"""In the folder of a card. The hub takes a file of this name for a licence of the model's own."""

HUB_METRICS: Mapping[str, tuple[str, Mapping[str, str]]] = MappingProxyType(
    {
        "accuracy": ("accuracy", {}),
        "bleu": ("bleu", {}),
        "chrf": ("chrf", {}),
        "exact_match": ("exact_match", {}),
        "macro_f1": ("f1", {"average": "macro"}),
        "macro_precision": ("precision", {"average": "macro"}),
        "macro_recall": ("recall", {"average": "macro"}),
        "mae": ("mae", {}),
        "micro_f1": ("f1", {"average": "micro"}),
        "rouge1": ("rouge", {"rouge_types": "rouge1"}),
        "rouge2": ("rouge", {"rouge_types": "rouge2"}),
        "rouge_l": ("rouge", {"rouge_types": "rougeL"}),
        "uar": ("recall", {"average": "macro"}),
    }
)
"""Score -> its id at hf.co/metrics, and the arguments that give this score."""

NOT_ON_THE_HUB = "custom"
"""Type of a data set in a ``model-index``, which needs one, that has no id on the hub."""


class TrainingData(NamedTuple):
    """A data set that the weights were made from.

    Attributes:
        entry: of the registry.
        differs: see `expectations.differing`.
    """

    entry: Mapping[str, Any]
    differs: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class HubTask:
    """How the hub sorts a model.

    Attributes:
        type: a task of the hub, which the results in the front matter are of.
        name: of the task, in words.
        pipeline: ``pipeline_tag``; None if the model does not do what the hub's task promises.
        library: that loads the model.
        tags: of the model.
    """

    type: str
    name: str
    pipeline: str | None
    library: str
    tags: Sequence[str]


def front_matter(
    record: Mapping[str, Any],
    data: Mapping[str, TrainingData],
    model: Mapping[str, Any] | None,
    task: HubTask,
    scores: Sequence[str],
) -> dict[str, Any]:
    """What a hub indexes, the measured values included; see hf.co/docs/hub/model-cards.

    Only ids that exist on the hub are in ``datasets``, ``base_model`` and ``metrics``.

    Args:
        record: metrics.json of the run.
        data: name -> every data set that the weights were made from, that of the scores included.
        model: the registry's entry of the pretrained model; None if there is none.
        task: how the hub sorts it.
        scores: names in metrics.json of the scores that are listed, if the record has them.
    """
    languages = {code for one in data.values() for code in facts_in_use(*one).get("languages", ())}
    # A copy that differs may be anything.
    hub_data = {hub_repository(one.entry) for one in data.values() if not one.differs}
    shown = [name for name in scores if name in record["metrics"]]
    metrics = dict.fromkeys(HUB_METRICS[name][0] for name in shown if name in HUB_METRICS)
    base = hub_repository(model)
    scored = data[record["data"]["name"]]
    result = {
        "task": {"type": task.type, "name": task.name},
        "dataset": scored_dataset(record, *scored),
        "metrics": [_hub_result(name, record["metrics"][name]["value"]) for name in shown],
    }
    return {
        **language_metadata(sorted(languages)),
        # Weights made from the data are under the data's terms, whatever a base model allows.
        "license": "other",
        "license_name": "terms-of-the-training-data",
        "license_link": LICENCE_FILE,
        "library_name": task.library,
        **({} if task.pipeline is None else {"pipeline_tag": task.pipeline}),
        "tags": [*task.tags, f"{record['protocol']}-protocol"],
        **_unless_empty("datasets", sorted(filter(None, hub_data))),
        **({} if base is None else {"base_model": base}),
        **_unless_empty("metrics", list(metrics)),
        "model-index": [
            {"name": f"affectlab-{record['experiment']}-{record['run']}", "results": [result]}
        ],
    }


def _unless_empty(key: str, values: Sequence[str]) -> dict[str, Sequence[str]]:
    return {key: values} if values else {}


def _hub_result(name: str, value: float) -> dict[str, Any]:
    kind, arguments = HUB_METRICS.get(name, (name, {}))
    result = {"type": kind, "name": score_name(name), "value": value}
    return {**result, "args": dict(arguments)} if arguments else result


def licence_text(
    run: str, data: Mapping[str, TrainingData], model: Mapping[str, Any] | None
) -> str:
    """LICENSE.md of a model: the terms of everything that its weights were made from.

    Args:
        run: name of the run.
        data: name -> data set, as for `front_matter`.
        model: the registry's entry of the pretrained model; None if there is none.
    """
    rows = [
        (data_title(name, *one), one.entry["licence"], one.entry["terms"])
        for name, one in data.items()
    ]
    if model is not None:
        rows.append((model["title"], model["licence"], "those of its licence"))
    lines = [
        f"# Terms of the model {_plain(run)}",
        "",
        "This model was made from what the table lists. It is under all of these terms.",
        "",
        "| made from | licence | terms |",
        "|---|---|---|",
        *(f"| {' | '.join(str(_plain(cell)) for cell in row)} |" for row in rows),
        "",
    ]
    return "\n".join(lines)


def picture(name: str, description: str) -> str:
    """A figure of the run on its card, by its path from there.

    Args:
        name: of the file in ``figures``, without its ending.
        description: for those who cannot see it.
    """
    return Markup(f"![{escaped(description)}](figures/{name}.png)")


def code_block(program: str) -> str:
    """A Python program on a card."""
    return Markup(f"```python\n{program.rstrip()}\n```")


def score_table(record: Mapping[str, Any], names: Iterable[str]) -> str:
    """The table of those of the scores *names* that the record of a run has, in Markdown."""
    level = f"{100 * record['interval']['level']:g}"
    lines = [
        f"| score | value | {level} % interval | strongest trivial baseline |",
        "|---|---|---|---|",
    ]
    for name in names:
        if name in record["metrics"]:
            cells = _score_cells(record["metrics"][name], record["experiment"])
            lines.append(f"| {escaped(score_name(name))} | {' | '.join(cells)} |")
    return Markup("\n".join(lines))


def _score_cells(entry: Mapping[str, Any], experiment: str) -> list[str]:
    baseline = entry["baseline"]
    shown = "none"
    if baseline is not None:
        name = escaped(baseline_name(baseline["name"], experiment))
        shown = f"{number(baseline['value'])} ({name})"
    below = " **below the trivial baseline**" if entry["below_baseline"] else ""
    return [number(entry["value"]), limits(entry["ci"]), f"{shown}{below}"]


def use_sentences(
    record: Mapping[str, Any], headline: str, purpose: str, *, generated: bool
) -> list[str]:
    """What a model may be used for, by what it reached.

    Args:
        record: metrics.json of the run.
        headline: its main score.
        purpose: of a model that beats its baseline, such as ``research on emotion in text``.
        generated: whether a program made the data.
    """
    entry = record["metrics"][headline]
    name = score_name(headline)
    sentences = [
        "Use it to check that the workflow runs. A program made its training data, so it is not for"
        " real data."
        if generated
        else f"Use it for {purpose}."
    ]
    if record.get("details", {}).get("seen_in_training"):
        sentences.append("Do not quote its scores: it was trained on the items that they are of.")
    if entry["baseline"] is None:
        return sentences
    value, baseline = number(entry["value"]), number(entry["baseline"]["value"])
    if entry["below_baseline"]:
        sentences.append(
            f"Do not rely on its predictions: its {name} of {value} is worse than that of a trivial"
            f" baseline, {baseline}."
        )
    elif entry["ci"] is not None and not is_clear(entry):
        sentences.append(
            f"Do not rely on its predictions: its {name} of {value} cannot be told from that of a"
            f" trivial baseline, {baseline}."
        )
    return sentences


def is_clear(entry: Mapping[str, Any]) -> bool:
    """Whether all of the interval of a score is on the better side of its trivial baseline."""
    low, high = entry["ci"]
    baseline = entry["baseline"]["value"]
    return bool(low > baseline if entry["direction"] == "higher" else high < baseline)


def weak_points(record: Mapping[str, Any]) -> list[str]:
    """What the scores of this run show to be weak: classes, confusions, other scores."""
    found = []
    classes = {name: one for name, one in record.get("per_class", {}).items() if one.get("support")}
    if len(classes) > 1:
        worst = min(classes, key=lambda name: classes[name]["f1"])
        items = classes[worst]["support"]
        found.append(
            f"The class with the lowest F1 is {worst}: {number(classes[worst]['f1'])} on"
            f" {items} {'item' if items == 1 else 'items'}."
        )
    found += _commonest_confusion(record)
    below = [score_name(name) for name, one in record["metrics"].items() if one["below_baseline"]]
    if below:
        found.append(f"Worse than a trivial baseline: {'; '.join(below)}.")
    return found


def _commonest_confusion(record: Mapping[str, Any]) -> list[str]:
    names = record["data"].get("classes", ())
    wrong = [
        (count, sum(row), label, predicted)
        for label, row in zip(names, record.get("confusion_matrix", ()), strict=False)
        for predicted, count in zip(names, row, strict=True)
        if label != predicted and count
    ]
    if not wrong:
        return []
    count, total, label, predicted = max(wrong, key=lambda one: one[0])
    return [
        f"The most frequent error: {number(count / total)} of the items of class {label} are"
        f" predicted as {predicted}."
    ]


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
    """The data set that the scores in a ``model-index`` are of.

    Args:
        record: metrics.json of the run.
        dataset: the registry's entry of its data set.
        differs: see `expectations.differing`. Scores on a copy that differs are not listed under
            the hub's id.
    """
    repository = None if differs else hub_repository(dataset)
    title = f"{dataset['title']}, a copy that differs" if differs else dataset["title"]
    kind = repository or NOT_ON_THE_HUB
    return {"type": kind, "name": title, "split": record["data"]["split"]}


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
    note = "; too few items" if entry["too_small"] else ""
    return f"{number(entry['value'])} ({limits(entry['ci'])}{note})"


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
    environment.globals["licence_file"] = LICENCE_FILE
    environment.filters["code_span"] = _code_span
    environment.filters["difference"] = _difference
    environment.filters["baseline"] = partial(baseline_name, experiment=path.parent.name)
    environment.filters["score"] = number
    environment.filters["signed"] = signed
    environment.filters["words"] = partial(term, experiment=path.parent.name)
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
    return f"{signed(entry['value'])} ({signed_limits(entry['ci'])})"


def with_front_matter(metadata: Mapping[str, Any], body: str) -> str:
    """A card: *metadata* between ``---`` lines, then *body*."""
    front = yaml.safe_dump(dict(metadata), sort_keys=False, allow_unicode=True, width=100)
    return f"---\n{front}---\n\n{body.lstrip()}"
