"""Score the stored summaries of one run, and merge in what other jobs scored.

Everything is computed from the stored predictions, so a score can be recomputed, or a new one
added, without training again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from affectlab.config.models import Bootstrap
from affectlab.datasets.subgroups import read_subgroups
from affectlab.evaluation.by_subgroup import subgroup_lines, subgroups_record
from affectlab.evaluation.captions import run_on_data
from affectlab.evaluation.comparison import Score
from affectlab.evaluation.outside_words import outside_sentences
from affectlab.evaluation.plots import figures_of
from affectlab.evaluation.records import ScoredRun, difference_line, metric, strongest
from affectlab.files.io import read_json, read_jsonl, write_text
from affectlab.summary.answers import read_answers
from affectlab.summary.baselines import held_out_answers
from affectlab.summary.cases import (
    CROSS_VALIDATION,
    Case,
    scored_parts,
    test_cases,
)
from affectlab.summary.outside import UNKNOWN
from affectlab.summary.score_intervals import COMPARED, differences, interval_of
from affectlab.summary.scores import Answer, all_scores, description, field_scores
from affectlab.summary.settings import SummaryRun
from affectlab.summary.side_scores import read_judge, read_side_metrics
from affectlab.summary.subgroup_scores import case_items

TASK_VERSION = 4
"""Rises when references or scoring change, so that only comparable numbers are compared."""

TRIVIAL = ("lead", "tail", "textrank", "template")
"""Summaries that every score is compared with; the last one learns from training cases."""

SUPPORT = ("unsupported_numbers", "unsupported_names")


def evaluate(
    run: ScoredRun[SummaryRun],
    *,
    records_path: Path | str,
    predictions_path: Path | str,
    details_path: Path | str,
    baseline: tuple[str, int, Path | str, Path | str] | None,
    judge_path: Path | str | None,
    neural_path: Path | str | None,
    model_languages: Sequence[str],
    text_path: Path | str,
    figures: Path | str,
    outside_path: Path | str | None = None,
    subgroups_path: Path | str | None = None,
) -> None:
    """Score one run: metrics.json, run.json, evaluation_results.txt and the figures.

    Args:
        run: what is scored, and where its records go.
        records_path: records.jsonl of its data.
        predictions_path: predictions.jsonl of the run.
        details_path: details.jsonl of the run.
        baseline: run name, seed, predictions and details to compare with; None for the baseline
            itself and for runs on other data.
        judge_path: judge.json of the run; None where no judge is configured.
        neural_path: neural.json of the run; None where no scoring model is configured.
        model_languages: that the model of a run on users' own data was made for; else empty.
        text_path: where evaluation_results.txt goes.
        figures: folder of the figures.
        outside_path: outside.json, where somebody else wrote the summaries.
        subgroups_path: subgroups.jsonl of its data, where the entry names subgroups.

    Raises:
        DataError: an input does not hold what it should.
    """
    recipe = run.recipe
    cases = test_cases(records_path, recipe.fold)
    answers = read_answers(predictions_path, details_path, cases)
    found = all_scores(cases, answers)
    parts = scored_parts(records_path, recipe.fold)
    plain = trivial_scores(parts)
    judge, usage = read_judge(judge_path)
    outside = None if outside_path is None else read_json(outside_path)
    unknown = () if outside is None else UNKNOWN
    record = {
        **run.header(
            "summary",
            TASK_VERSION,
            method=recipe.method,
            model=recipe.model if recipe.has_model else recipe.method,
            data={
                "split": CROSS_VALIDATION if len(parts) > 1 else "test",
                "n": len(cases),
                "groups": len({case.group for case in cases}),
            },
            data_paths=(records_path,),
        ),
        "metrics": _metrics(found, plain, run.bootstrap, unknown)
        | read_side_metrics(judge_path, neural_path),
        **({} if outside is None else _without_overlap(cases, answers, outside, run.bootstrap)),
        "comparisons": []
        if baseline is None
        else [_comparison(found, baseline, cases, run.bootstrap)],
        "details": _details(cases, answers, details_path, recipe)
        | ({"model_languages": list(model_languages)} if model_languages else {})
        | ({} if outside is None else {"outside": outside}),
        **({} if judge is None else {"judge": judge}),
        **subgroups_record(
            read_subgroups(subgroups_path),
            lambda: case_items(cases, answers, run.bootstrap.level),
            run.bootstrap,
        ),
    }
    with figures_of(run_on_data(record)):
        _plot_fields(Path(figures) / "fields", record["details"]["fields"])
    write_text(text_path, results_text(record))
    run.write(record, {} if usage is None else {"judge": usage})


def _plot_fields(stem: Path, fields: Mapping[str, Mapping[str, float]]) -> None:
    """Draw ROUGE of each field."""
    from affectlab.evaluation import plots

    shown = {
        name: {score: row[score] for score in ("rouge1", "rouge2", "rouge_l")}
        for name, row in fields.items()
    }
    plots.grouped_bars(stem, shown, ylabel="F1")


def _metrics(
    found: Mapping[str, Score],
    plain: Mapping[str, tuple[str, float]],
    bootstrap: Bootstrap,
    unknown: Sequence[str] = (),
) -> dict[str, Any]:
    """The scores as metrics.json holds them, next to the *plain* ones of trivial baselines.

    Those that are *unknown* are left out.
    """
    table = {}
    for name, score in found.items():
        if name in unknown:
            continue
        interval = interval_of(name, score, bootstrap)
        limits = interval.low, interval.high
        table[name] = metric(interval.value, score.direction, limits, plain.get(name))
    return table


def _without_overlap(
    cases: Sequence[Case],
    answers: Sequence[Answer],
    outside: Mapping[str, Any],
    bootstrap: Bootstrap,
) -> dict[str, Any]:
    """The scores without the cases that somebody else's model was trained on."""
    listed = set(outside["trained_on"])
    kept = [pair for pair in zip(cases, answers, strict=True) if pair[0].id not in listed]
    if not kept or not listed:
        return {"other_splits": {}}
    own, given = [case for case, _ in kept], [answer for _, answer in kept]
    entry = {
        "n": len(own),
        "groups": len({case.group for case in own}),
        "metrics": _metrics(all_scores(own, given), {}, bootstrap, UNKNOWN),
    }
    return {"other_splits": {"test_without_overlap": entry}}


def _comparison(
    ours: Mapping[str, Score],
    baseline: tuple[str, int, Path | str, Path | str],
    cases: Sequence[Case],
    bootstrap: Bootstrap,
) -> dict[str, Any]:
    """The paired differences from *baseline*: run name, seed, predictions and details."""
    name, seed, predictions_path, details_path = baseline
    theirs = all_scores(cases, read_answers(predictions_path, details_path, cases))
    groups = [case.group for case in cases]
    return {
        "with": name,
        "seed": seed,
        "differences": differences(ours, theirs, groups, bootstrap),
    }


def _details(
    cases: Sequence[Case],
    answers: Sequence[Answer],
    details_path: Path | str,
    recipe: SummaryRun,
) -> dict[str, Any]:
    return {
        "fields": field_scores(cases, answers),
        "description": description(cases, answers),
        "references": support_of_references(cases),
        "references_from_template": any(case.template for case in cases),
        "languages": sorted({case.language for case in cases}),
        "tokens": _token_counts(details_path),
        "decoding": recipe.generation.decoding if recipe.has_model else None,
        "sampled": recipe.has_model and recipe.generation.sample,
    }


def trivial_scores(
    parts: Sequence[tuple[Sequence[Case], Sequence[Case]]],
) -> dict[str, tuple[str, float]]:
    """The strongest summary without a model for each score: baseline name and value.

    Args:
        parts: pairs of cases that `template` learns from, and of cases that are scored. Where
            there are none to learn from, it is left out.
    """
    cases = [case for _, test in parts for case in test]
    learns = all(train for train, _ in parts)
    reached: dict[str, list[tuple[str, float]]] = {name: [] for name in COMPARED}
    for method in TRIVIAL if learns else TRIVIAL[:-1]:
        found = all_scores(cases, held_out_answers(method, parts))
        for name in COMPARED:
            reached[name].append((method, found[name].value))
    best = {name: strongest("higher", values) for name, values in reached.items()}
    return {name: one for name, one in best.items() if one is not None}


def support_of_references(cases: Sequence[Case]) -> dict[str, float]:
    """`SUPPORT` of the references: how much of it good answers have, and the count takes amiss."""
    found = all_scores(cases, [Answer(case.references, True) for case in cases])
    return {name: found[name].value for name in SUPPORT}


def results_text(record: Mapping[str, Any]) -> str:
    """The text of evaluation_results.txt."""
    data = record["data"]
    lines = [
        f"{record['run']}, seed {record['seed']} ({record['protocol']} protocol)",
        f"model: {record['model']['name']}; data: {data['name']}, split {data['split']},"
        f" n = {data['n']}",
        f"decoding: {record['details']['decoding'] or 'none'}; valid_output: before any repair",
        *outside_sentences(record, "cases"),
        "",
        f"{'metric':<20}{'value':>8}  {record['interval']['level']:.0%} interval"
        "      strongest trivial baseline",
    ]
    for name, entry in record["metrics"].items():
        low, high = entry["ci"]
        line = f"{name:<20}{entry['value']:>8.4f}  [{low:.4f}, {high:.4f}]  "
        if entry["baseline"]:
            line += f"{entry['baseline']['value']:.4f} ({entry['baseline']['name']})"
        if entry["below_baseline"]:
            line += "  BELOW THE TRIVIAL BASELINE"
        lines.append(line.rstrip())
    for other in record["comparisons"]:
        lines += [
            "",
            f"minus {other['with']}, seed {other['seed']}, on the same cases: these two models, not"
            " their recipes",
            *(difference_line(name, entry) for name, entry in other["differences"].items()),
        ]
    lines += ["", f"{'field':<28}{'rouge1':>8}{'rouge2':>8}{'rouge_l':>8}{'chrf':>8}"]
    lines += [
        f"{name:<28}"
        + "".join(f"{row[score]:>8.4f}" for score in ("rouge1", "rouge2", "rouge_l", "chrf"))
        for name, row in record["details"]["fields"].items()
    ]
    lines += [""] + [
        f"{name:<20}{value:>8.4f}" for name, value in record["details"]["description"].items()
    ]
    if record["details"]["references_from_template"]:
        lines += ["", "The references were made from a template: these scores are template recall."]
    lines += subgroup_lines(record)
    return "\n".join(lines) + "\n"


def _token_counts(details_path: Path | str) -> dict[str, Any] | None:
    """How long the cases were for the model, and how much of them it lost; None without one."""
    rows = [row for row in read_jsonl(details_path) if row["case_tokens"] is not None]
    if not rows:
        return None
    lengths = sorted(row["case_tokens"] for row in rows)
    return {
        "median": lengths[len(lengths) // 2],
        "longest": lengths[-1],
        "share_cut": sum(row["cut_tokens"] for row in rows) / sum(lengths),
        "cases_cut": sum(row["cut_tokens"] > 0 for row in rows),
        "median_answer": sorted(row["answer_tokens"] for row in rows)[len(rows) // 2],
    }
