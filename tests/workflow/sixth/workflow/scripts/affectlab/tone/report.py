"""The tone experiment in the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from affectlab.tone.settings import Block

from affectlab.evaluation.records import read_comparison
from affectlab.files.io import read_json
from affectlab.report.data_notes import data_notes
from affectlab.report.results import below_baseline, published_for, read_runs, results_rows
from affectlab.report.section import Section, render, run_view
from affectlab.report.words import percent

HERE = Path(__file__).parent


def section(
    folder: Path,
    block: Block,
    published: Sequence[Mapping[str, Any]],
    sample_data: Sequence[str],
) -> Section:
    """Build the section of the report; see `affectlab.report.section.SectionBuilder`."""
    runs = read_runs(folder, block.runs, block.selected)
    comparison = read_comparison(folder / "comparison.json")
    data = sorted({block.runs[name].data for name in block.selected})
    audits = {name: read_json(folder / "data" / name / "audit.json") for name in data}
    notes = data_notes(audits, sample_data)
    views = [run_view(name, seeds, {}) for name, seeds in runs.items()]
    known = published_for("tone", views, published)
    return Section(
        best=comparison["runs"][0]["run"],
        figure=None,
        seen=[],
        runs=runs,
        sentences=[
            f"{run['run']} has an accuracy of {percent(run['metrics']['accuracy']['mean'])}."
            for run in comparison["runs"]
        ],
        notes=list(notes.values()),
        warnings=below_baseline(comparison),
        rows=results_rows(comparison, known, notes),
        html=render(HERE / "report.html.j2", comparison=comparison),
    )
