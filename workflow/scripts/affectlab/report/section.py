"""What an experiment contributes to the report, and the means to write it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, Protocol

from affectlab.config.entries import ReferenceResult
from affectlab.evaluation.captions import run_on_data
from affectlab.report.confusion import Confusion, confusion_of
from affectlab.report.data_notes import DataNote
from affectlab.report.display import limits, number, signed, signed_limits, term
from affectlab.report.published import PublishedNumber, csv_rows
from affectlab.report.results import SeedResult, split_means, split_sizes, training_items
from affectlab.report.svg import inline_svg, values_in
from affectlab.report.words import flat, plain

HERE = Path(__file__).parent

PARTS = {
    "scores": "Scores of every run",
    "comparison": "Run against run, on the same items",
    "measures": "More measures",
    "runs": "Each run: figures and tables",
    "errors": "Errors and disagreements",
    "other_data": "On other data",
    "subgroups": "Scores by subgroup",
    "exports": "Exported models",
    "data": "Data: counts, duplicates, labels",
}
"""The folded parts of every section, in the order of the page -> their titles."""

FIGURES_SHOWN = 2
"""Figures of an experiment that are in view; the others are folded."""


@dataclass(frozen=True, slots=True)
class Section:
    """The part of the report that is about one experiment.

    Attributes:
        best: name of the run that the card of the experiment shows, chosen without its test scores.
        figures: those in view, see `main_figures`.
        seen: names of the runs that were trained on items that they are scored on.
        runs: name -> what each seed left.
        sentences: what was found, in plain sentences; the first is the main one.
        notes: of the data sets that its runs were scored on.
        warnings: sentences about scores that are worse than a trivial baseline.
        rows: the scores of its runs as rows of results.csv, see `results.COLUMNS`.
        published: the published numbers of the experiment, with ours.
        parts: everything else: keys of `PARTS` -> HTML, from level-four headings down.
    """

    best: str
    figures: Sequence[Figure]
    seen: Sequence[str]
    runs: Mapping[str, Sequence[SeedResult]]
    sentences: Sequence[str]
    notes: Sequence[DataNote]
    warnings: Sequence[str]
    rows: Sequence[Mapping[str, Any]]
    published: Sequence[PublishedNumber]
    parts: Mapping[str, str]

    @property
    def folded(self) -> list[tuple[str, str, str]]:
        """Key, title and HTML of its parts, in the order of the page."""
        return [(key, title, self.parts[key]) for key, title in PARTS.items() if key in self.parts]

    @property
    def table(self) -> list[Mapping[str, Any]]:
        """Its rows of results.csv: our scores, then the published numbers next to them."""
        return [*self.rows, *csv_rows(self.published)]

    @property
    def provenance(self) -> list[dict[str, Any]]:
        """Its rows of the provenance table."""
        return provenance(self.runs)


class SectionBuilder(Protocol):
    """A function ``section`` of the module ``report`` of an experiment."""

    def __call__(
        self,
        folder: Path,
        block: Any,
        published: Sequence[ReferenceResult],
        sample_data: Sequence[str],
    ) -> Section:
        """Build the section of one experiment from its stored records.

        Args:
            folder: ``results/<experiment>``.
            block: the experiment's block of the effective configuration, of its own model.
            published: the registry of published numbers, of all experiments.
            sample_data: names of the data sets that are generated, so that their scores are not
                taken for results.

        Raises:
            DataError: a record of a selected run is missing or broken.
        """


def render(template: Path, **values: Any) -> str:
    """Fill in a template; a name that *values* lack is an error."""
    return str(_environment(template.parent).get_template(template.name).render(**values))


def render_parts(template: Path, **values: Any) -> dict[str, str]:
    """Fill in the blocks of a template; each block is one of `PARTS`.

    Raises:
        ValueError: a block is none of them.
    """
    found = _environment(template.parent).get_template(template.name)
    if unknown := found.blocks.keys() - PARTS.keys():
        raise ValueError(f"{template}: block {min(unknown)} is none of {', '.join(PARTS)}")
    context = found.new_context(values)
    return joined({name: "".join(block(context)) for name, block in found.blocks.items()})


def joined(*sources: Mapping[str, str]) -> dict[str, str]:
    """The parts of several sources, one below the other; parts without content are left out."""
    together = {key: "".join(one.get(key, "") for one in sources) for key in PARTS}
    return {key: html for key, html in together.items() if html.strip()}


@cache
def _environment(folder: Path) -> Any:
    """What fills in the templates of *folder*, with the macros of this one."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader([folder, HERE]),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "score": number,
        "limits": limits,
        "signed": signed,
        "signed_limits": signed_limits,
        "words": partial(term, experiment=folder.name),
    }
    environment.filters["chance"] = lambda p: "< 0.0001" if p < 1e-4 else f"{p:.4f}"
    environment.filters["plain"] = plain
    macros = environment.get_template("macros.html.j2").module
    environment.globals |= {
        name: getattr(macros, name)
        for name in ("figure", "table", "score", "seeds", "run_pairs", "exported_models")
    }
    return environment


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of the page.

    Attributes:
        key: id of its element; no other figure of the page has it.
        name: what is drawn, such as ``confusion matrix``.
        caption: the run, and what the figure shows.
        drawing: SVG or a table; None where the page shows it in another place, and links to it.
        values: name and points of each series that an SVG shows.
    """

    key: str
    name: str
    caption: str
    drawing: str | Confusion | None
    values: Sequence[tuple[str, str]] = ()


def figure(path: Path, key: str, caption: str) -> Figure:
    """A stored SVG as the page holds it.

    Args:
        path: of the file.
        key: see `Figure`.
        caption: see `Figure`; a screen reader reads it, too.

    Raises:
        DataError: the file holds something that no figure of ours has.
    """
    drawn = inline_svg(path, key, caption)
    return Figure(key, path.stem.replace("_", " "), caption, drawn, values_in(path))


def main_figures(result: SeedResult, figures: Mapping[str, str]) -> list[Figure]:
    """The first of *figures*, names and descriptions, that a run has: those in view."""
    return run_figures(result, figures)[:FIGURES_SHOWN]


def run_figures(result: SeedResult, figures: Mapping[str, str]) -> list[Figure]:
    """Those of *figures*, names and descriptions, that a run and seed has."""
    experiment, run, _ = result.folder.parts[-3:]
    found = []
    for name, description in figures.items():
        key = f"{experiment}-{run}-{name}"
        path = result.folder / "figures" / f"{name}.svg"
        if name == "confusion_matrix" and name in result.metrics:
            title = f"Confusion matrix of {run_on_data(result.metrics)}"
            matrix = confusion_of(result.metrics, title, result.folder / "predictions.jsonl")
            found.append(Figure(key, "confusion matrix", description, matrix))
        elif path.exists():
            found.append(figure(path, key, f"{run}: {description}"))
    return found


def show_once(views: Sequence[dict[str, Any]], main: Sequence[Figure]) -> None:
    """Leave the drawings of the *main* figures out of *views*; what remains links to them."""
    shown = {one.key for one in main}
    for view in views:
        view["figures"] = [
            replace(one, drawing=None) if one.key in shown else one for one in view["figures"]
        ]


def run_view(run: str, seeds: Sequence[SeedResult], figures: Mapping[str, str]) -> dict[str, Any]:
    """One run as the page shows it: figures and tables of its first seed, means over all.

    Args:
        run: its name.
        seeds: what it left, seed by seed.
        figures: name of a figure -> its description; those that the run has are shown.
    """
    first = seeds[0]
    return {
        "run": run,
        "data": first.metrics["data"]["name"],
        "values": split_means(seeds),
        "sizes": split_sizes(first.metrics),
        "record": first.metrics,
        "training_items": training_items(seeds),
        "figures": run_figures(first, figures),
    }


def provenance(runs: Mapping[str, Sequence[SeedResult]]) -> list[dict[str, Any]]:
    """For every run and seed: what it was made from, by which code, where, at what cost."""
    return [
        {
            "run": name,
            "seed": seed.metrics["seed"],
            "data": seed.metrics["data"],
            "model": seed.metrics["model"],
            "task_version": seed.metrics["task_version"],
            "evaluation": seed.run_record["evaluation"],
            "training": seed.run_record["training"],
        }
        for name, seeds in runs.items()
        for seed in seeds
    ]


def exports_view(runs: Mapping[str, Sequence[SeedResult]]) -> list[dict[str, Any]]:
    """Exported models, one column a format, the reference first.

    There are up to four formats and a dozen measures: this way round the table fits a page.
    """
    tables = []
    for name, seeds in runs.items():
        for seed in seeds:
            if seed.export is None:
                continue
            formats, reference = seed.export["formats"], seed.export["reference"]
            columns = sorted(formats, key=lambda kind: (kind != reference, kind))
            measured = {kind: flat(formats[kind], joint=", ") for kind in columns}
            tables.append(
                {
                    "run": name,
                    "seed": seed.metrics["seed"],
                    "columns": columns,
                    "rows": {
                        measure: [measured[kind].get(measure) for kind in columns]
                        for measure in dict.fromkeys(m for kind in columns for m in measured[kind])
                    },
                    "facts": flat({k: v for k, v in seed.export.items() if k != "formats"}),
                }
            )
    return tables
