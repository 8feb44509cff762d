"""The tone experiment in the report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from affectlab.tone.settings import Block

from affectlab.config.entries import ReferenceResult
from affectlab.evaluation.records import read_comparison
from affectlab.files.io import read_json
from affectlab.report.data_notes import data_notes
from affectlab.report.display import number
from affectlab.report.published import our_scores, published_numbers
from affectlab.report.results import below_baseline, read_runs, results_rows
from affectlab.report.section import Section, render_parts

HERE = Path(__file__).parent


def section(
    folder: Path,
    block: Block,
    published: Sequence[ReferenceResult],
    sample_data: Sequence[str],
) -> Section:
    """Build the section of the report; see `affectlab.report.section.SectionBuilder`."""
    runs = read_runs(folder, block.runs, block.selected)
    comparison = read_comparison(folder / "comparison.json")
    data = sorted({block.runs[name].data for name in block.selected})
    audits = {name: read_json(folder / "data" / name / "audit.json") for name in data}
    notes = data_notes(audits, sample_data)
    best = comparison["runs"][0]["run"]
    return Section(
        best=best,
        figures=[],
        seen=[],
        runs=runs,
        sentences=[
            f"{run['run']} has an accuracy of {number(run['metrics']['accuracy']['mean'])}."
            for run in comparison["runs"]
        ],
        notes=list(notes.values()),
        warnings=below_baseline(comparison),
        rows=results_rows(comparison, notes),
        published=published_numbers(
            "tone", published, our_scores(comparison, runs), best=best, seen=[], notes=notes
        ),
        parts=render_parts(HERE / "report.html.j2", comparison=comparison),
    )
