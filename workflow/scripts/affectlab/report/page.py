"""The report: one page that holds everything it shows, and one table.

It is made from files alone, so it can be built again, or elsewhere, from a results folder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from affectlab.config.dotted import load
from affectlab.config.experiment import Experiment
from affectlab.config.load import parse_yaml
from affectlab.config.models import typed
from affectlab.files.io import write_text
from affectlab.files.text import read_text
from affectlab.report.data_notes import page_title
from affectlab.report.results import results_csv
from affectlab.report.section import Section, SectionBuilder, render

HERE = Path(__file__).parent


def build(
    *,
    experiments: Mapping[str, Experiment],
    results: Path | str,
    reference_results: Sequence[Mapping[str, Any]],
    sample_data: Sequence[str],
    page_path: Path | str,
    table_path: Path | str,
) -> None:
    """Write the page and the table of a results folder.

    Args:
        experiments: name -> experiment; only the selected ones are loaded.
        results: the folder; ``config.yaml`` in it says what to look for.
        reference_results: the published numbers, as the registry has them.
        sample_data: names of the data sets that are generated, so that their scores are not
            taken for results.
        page_path: where index.html goes.
        table_path: where results.csv goes.

    Raises:
        DataError: a record of a selected run is missing or broken.
    """
    folder = Path(results)
    config_text = read_text(folder / "config.yaml")
    config = parse_yaml(config_text, folder / "config.yaml")
    selected = [experiments[name] for name in config["experiments"]]
    sections = [
        _section(experiment, folder, config, reference_results, sample_data)
        for experiment in selected
    ]
    notes = {note.data: note for section in sections for note in section.notes}
    page = render(
        HERE / "page.html.j2",
        css=read_text(HERE / "page.css"),
        title=page_title(notes.values()),
        notes=notes.values(),
        sections=list(zip(selected, sections, strict=True)),
        versions=versions(sections),
        config_text=config_text,
    )
    write_text(table_path, results_csv(row for section in sections for row in section.rows))
    write_text(page_path, page)


def _section(
    experiment: Experiment,
    folder: Path,
    config: Mapping[str, Any],
    reference_results: Sequence[Mapping[str, Any]],
    sample_data: Sequence[str],
) -> Section:
    section: SectionBuilder = load(experiment.report_section)
    block = typed(experiment.load_settings().Block, config[experiment.name])
    return section(folder / experiment.name, block, reference_results, sample_data)


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
