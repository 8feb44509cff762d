"""The report: one page that holds everything it shows, and one table.

It is made from files alone, so it can be built again, or elsewhere, from a results folder.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from affectlab.config.dotted import load
from affectlab.config.entries import ReferenceResult
from affectlab.config.experiment import Experiment
from affectlab.config.load import parse_yaml
from affectlab.config.models import typed
from affectlab.files.io import write_text
from affectlab.files.text import read_text
from affectlab.report.cards import Card, card_of, facts_of
from affectlab.report.data_notes import banner_of, page_title
from affectlab.report.finding import finding, known_items
from affectlab.report.overview import Place, RunLine, run_lines
from affectlab.report.published import PublishedNumber
from affectlab.report.record_views import write_views
from affectlab.report.results import results_csv
from affectlab.report.section import Section, SectionBuilder, render

HERE = Path(__file__).parent


def build(
    *,
    experiments: Mapping[str, Experiment],
    results: Path | str,
    reference_results: Sequence[Mapping[str, Any]],
    sample_data: Sequence[str],
    place: Place,
    page_path: Path | str,
    table_path: Path | str,
    scores_path: Path | str,
    audits_path: Path | str,
) -> None:
    """Write the page, the table and the views of all records of a results folder.

    Args:
        experiments: name -> experiment; only the selected ones are loaded.
        results: the folder; ``config.yaml`` in it says what to look for.
        reference_results: the published numbers, as the registry has them.
        sample_data: names of the data sets that are generated, so that their scores are not
            taken for results.
        place: where the runs were made, for the commands that make them again.
        page_path: where index.html goes.
        table_path: where results.csv goes.
        scores_path: folder for the views of scores, see `record_views.write_views`.
        audits_path: folder for the views of audits.

    Raises:
        DataError: a record of a selected run is missing or broken.
    """
    folder = Path(results)
    config_text = read_text(folder / "config.yaml")
    config = parse_yaml(config_text, folder / "config.yaml")
    selected = [experiments[name] for name in config["experiments"]]
    entries = config["datasets"].values()
    place = replace(place, withdrawn=any("exclude" in entry for entry in entries))
    published = [ReferenceResult.model_validate(entry) for entry in reference_results]
    sections = [
        _section(experiment, folder, config, published, sample_data) for experiment in selected
    ]
    notes = {note.data: note for section in sections for note in section.notes}
    made = list(zip(selected, sections, strict=True))
    lines = [line for experiment, section in made for line in lines_of(experiment, section, place)]
    script = read_text(HERE / "page.js")
    page = render(
        HERE / "page.html.j2",
        css=read_text(HERE / "page.css"),
        script=script,
        script_hash=csp_hash(script),
        title=page_title(notes.values()),
        banner=banner_of(notes.values()),
        facts=facts_of(
            lines,
            (
                seed.run_record
                for section in sections
                for seeds in section.runs.values()
                for seed in seeds
            ),
        ),
        place=place,
        cards=_cards(made, lines),
        lines=lines,
        titles=[experiment.title for experiment in selected],
        titles_of={experiment.name: experiment.title for experiment in selected},
        numbers=published_for(sections, config["datasets"]),
        findings_of={
            experiment.name: _findings(experiment, section, lines) for experiment, section in made
        },
        sections=made,
        versions=versions(sections),
    )
    write_text(table_path, results_csv(row for section in sections for row in section.table))
    write_text(page_path, page)
    by_name = {experiment.name: section for experiment, section in made}
    write_views(folder, by_name, Path(scores_path), Path(audits_path))


def _section(
    experiment: Experiment,
    folder: Path,
    config: Mapping[str, Any],
    published: Sequence[ReferenceResult],
    sample_data: Sequence[str],
) -> Section:
    section: SectionBuilder = load(experiment.report_section)
    block = typed(experiment.load_settings().Block, config[experiment.name])
    return section(folder / experiment.name, block, published, sample_data)


def published_for(sections: Sequence[Section], own: Collection[str]) -> list[PublishedNumber]:
    """The published numbers of the page: none of an experiment on nothing but a user's own data.

    Args:
        sections: of all experiments.
        own: names of data sets that the configuration adds to the registry.
    """
    found: list[PublishedNumber] = []
    for section in sections:
        data = {row["data"] for row in section.rows}
        if not data <= set(own) or any(one.entry.data in data for one in section.published):
            found += section.published
    return found


def lines_of(experiment: Experiment, section: Section, place: Place) -> list[RunLine]:
    """The lines of an experiment in the table of all runs."""
    return run_lines(
        experiment.name, experiment.title, section.table, section.runs, section.seen, place
    )


def csp_hash(script: str) -> str:
    """The hash by which a Content Security Policy lets *script*, and no other one, run."""
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"


@dataclass(frozen=True, slots=True)
class _Findings:
    """What the top of a section has, besides its first sentence.

    Attributes:
        heading: the main result.
        problems: what is wrong with the data, and what that does to the score.
        others: what else was found; scores that are worse than trivial come last.
        plan: what the data can show.
    """

    heading: str
    problems: Sequence[str]
    others: Sequence[str]
    plan: Sequence[str]


def _findings(experiment: Experiment, section: Section, lines: Sequence[RunLine]) -> _Findings:
    best = section.best
    line = next(one for one in lines if (one.experiment, one.run) == (experiment.name, best))
    main = next(row for row in section.rows if row["run"] == best and row["headline"])
    known = known_items(section.runs[best], main)
    return _Findings(
        heading=finding(line),
        problems=[
            *([known.sentence] if known else []),
            *(sentence for note in section.notes for sentence in note.sentences),
        ],
        others=[
            *section.sentences[1:],
            *(f"Worse than the trivial baseline: {one}" for one in section.warnings),
        ],
        plan=[f"{note.data}: {sentence}" for note in section.notes for sentence in note.plan],
    )


def _cards(made: Sequence[tuple[Experiment, Section]], lines: Sequence[RunLine]) -> list[Card]:
    cards = []
    for experiment, section in made:
        own = [line for line in lines if line.experiment == experiment.name]
        problems = [trap for note in section.notes for trap in note.traps]
        card = card_of(own, section.best, experiment.question, problems)
        if card is not None:
            cards.append(card)
    return cards


def versions(sections: Sequence[Section]) -> dict[str, list[str]]:
    """Python, platform and packages -> each version that trained or scored a run, sorted."""
    found: dict[str, set[str]] = {}
    for section in sections:
        for row in section.provenance:
            for made in filter(None, (row["training"], row["evaluation"])):
                own = {"python": made["python"], "platform": made["platform"], **made["packages"]}
                for name, version in own.items():
                    found.setdefault(name, set()).add(version)
    return {name: sorted(found[name]) for name in sorted(found)}
