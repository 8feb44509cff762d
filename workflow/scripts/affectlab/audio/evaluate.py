"""Score the stored predictions of one run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from affectlab.audio import outside as theirs
from affectlab.audio.figures import draw
from affectlab.audio.label_set_target import THRESHOLDS
from affectlab.audio.model import load
from affectlab.audio.outside import read_outside
from affectlab.audio.predictions import GROUPED, PUBLISHED, read_corpus
from affectlab.audio.scored import score_predictions
from affectlab.audio.scores import headline_of, predicts_label_sets
from affectlab.audio.settings import AudioRun
from affectlab.audio.subgroups import item_subgroups
from affectlab.audio.tasks import speakers_known, task_classes
from affectlab.datasets.description import Description, Target
from affectlab.datasets.label_sets import LABEL_SETS
from affectlab.datasets.numbers import NUMBERS
from affectlab.datasets.subgroups import read_subgroups
from affectlab.evaluation.baseline_names import short_name
from affectlab.evaluation.by_subgroup import subgroup_lines, subgroups_record
from affectlab.evaluation.captions import run_on_data
from affectlab.evaluation.outside_words import outside_sentences
from affectlab.evaluation.plots import figures_of
from affectlab.evaluation.records import ScoredRun, calibration_note
from affectlab.files.io import read_json, write_text

TASK_VERSION = 3
"""Rises when labels or scoring change, so that only comparable numbers are compared."""

INTERVAL_COVERS: dict[str, str] = {
    GROUPED: "the mean score of this procedure over data sets of this size: other subjects to "
    "train on and other subjects to score; not other choices made on these data",
    PUBLISHED: "other validation clips of the same subjects' distribution for this one split and "
    "this one head; neither another split or training, nor that the epoch was chosen on the "
    "clips that are scored",
}
"""What the interval of the main scheme is about."""

COVERS_CLIPS = {
    GROUPED: "the mean score of this procedure over data sets of this size: other clips to train "
    "on and other clips to score; neither other voices, because who speaks is not stated, nor "
    "other choices made on these data",
    PUBLISHED: "other validation clips for this one split and this one head; neither another split "
    "or training, nor that the epoch was chosen on the clips that are scored",
}
"""The same where the data do not tell who speaks."""


def evaluate(
    run: ScoredRun[AudioRun],
    *,
    predictions_path: Path,
    details_path: Path | None,
    records_path: Path,
    measures_path: Path,
    model_directory: Path | None,
    text_path: Path,
    figures: Path,
    outside: tuple[Path, Description] | None = None,
    subgroups_path: Path | None = None,
) -> None:
    """Score one run: metrics.json, run.json, evaluation_results.txt and the figures.

    Args:
        run: what is scored, and where its records go.
        predictions_path: predictions.jsonl of the run.
        details_path: details.json of the run; None where somebody else predicted.
        records_path: records.jsonl of its data.
        measures_path: measures.jsonl of its data.
        model_directory: of the fitted probe, for the names of its classes; None without one.
        text_path: where evaluation_results.txt goes.
        figures: folder of the figures.
        outside: outside.json and the description of the data, where somebody else predicted.
        subgroups_path: subgroups.jsonl of its data, where the entry names subgroups.

    Raises:
        DataError: an input does not hold what it should.
    """
    task, unit = run.recipe.task, run.recipe.unit
    corpus = read_corpus(records_path, measures_path, task, unit)
    if outside is not None:
        details, description = read_outside(*outside), outside[1]
        main = details["outside"]["scheme"]
        names: Sequence[str] = task_classes(description.classes, task)
        target = description.target
    else:
        assert model_directory is not None
        assert details_path is not None
        details, main = read_json(details_path), main_scheme(run.recipe)
        target, names = _predicted_by(load(model_directory).facts)
    scored = score_predictions(
        target, predictions_path, names, corpus, main, details, run.bootstrap
    )
    record = {
        **run.header(
            "audio",
            TASK_VERSION,
            method=task,
            model=run.recipe.model_name,
            data={
                "split": main,
                "n": len(scored.subjects),
                "groups": len(set(scored.subjects)),
                **scored.names,
            },
            data_paths=(records_path,),
        ),
        **scored.scores,
        **subgroups_record(
            item_subgroups(read_subgroups(subgroups_path), corpus, unit),
            scored.items,
            run.bootstrap,
        ),
        "details": details
        | {
            "interval_covers": interval_covers(details, main),
            **scored.details,
            "task": task,
            "unit": unit,
        },
    }
    with figures_of(run_on_data(record)):
        draw(figures, record, scored.panels)
    write_text(text_path, results_text(record))
    run.write(record)


def _predicted_by(facts: Mapping[str, Any]) -> tuple[Target, Sequence[str]]:
    """What a fitted probe predicts, and the names of its classes or numbers."""
    if NUMBERS in facts:
        return NUMBERS, facts[NUMBERS]
    return LABEL_SETS if THRESHOLDS in facts else "class", facts["classes"]


def main_scheme(recipe: AudioRun) -> str:
    """The scheme whose scores are the result of a run of our own."""
    return PUBLISHED if recipe.protocol == "published" else GROUPED


def interval_covers(details: Mapping[str, Any], main: str) -> str:
    """What the interval of the main scheme is about."""
    known = speakers_known(details)
    if "outside" in details:
        return theirs.COVERS if known else theirs.COVERS_CLIPS
    return (INTERVAL_COVERS if known else COVERS_CLIPS)[main]


def results_text(record: Mapping[str, Any]) -> str:
    """The text of evaluation_results.txt."""
    data, details = record["data"], record["details"]
    level = f"{record['interval']['level']:.0%}"
    people = f" of {data['groups']} subjects" if speakers_known(details) else ""
    lines = [
        f"{record['run']}, seed {record['seed']} ({record['protocol']} protocol)",
        f"task {details['task']} by {details['unit']}; encoder {record['model']['name']};"
        f" data {data['name']}, n = {data['n']}{people},"
        f" {_listed(data)}, {details['repeats']} repeats",
        *outside_sentences(record, "recordings"),
        "",
        f"{'metric':<28}{'value':>8}  {level + ' interval':<18}baseline",
        *(_line(name, entry) for name, entry in sorted(record["metrics"].items())),
    ]
    if "constant_answers" in details:
        lines += ["", "answers that listen to nothing"]
    for answer, scores in details.get("constant_answers", {}).items():
        listed = ", ".join(
            f"{name} {value:.4f}" for name, value in scores.items() if name in record["metrics"]
        )
        lines.append(f"always {answer}: {listed}")
    for scheme, entry in sorted(record["other_splits"].items()):
        lines += ["", f"{scheme}, n = {entry['n']}"]
        lines += [_line(name, entry["metrics"][name]) for name in headline_of(data)]
    if details.get("permutation"):
        test, score = details["permutation"], _tested(data)
        lines += [
            "",
            f"permutation test ({test['count']}): {score} {test['observed']:.4f},"
            f" p = {test['p']:.4g};"
            f" 95 % of the permuted lie below {test['chance_95']:.4f}",
        ]
    lines += ["", f"the intervals cover {details['interval_covers']}"]
    if details.get("speaker"):
        speaker = details["speaker"]
        lines.append(
            f"the same embedding names the speaker in {speaker['accuracy']:.1%} of the clips"
            f" (chance {speaker['chance']:.1%})"
        )
    if "shared_subjects" in details:
        share = details["shared_subjects"]
        lines += ["", f"{share:.1%} of the validation clips are of subjects heard in training"]
    lines += subgroup_lines(record)
    return "\n".join(lines) + "\n"


def _tested(data: Mapping[str, Any]) -> str:
    """The score of the permutation test."""
    if predicts_label_sets(data):
        return "mean average precision"
    return "CCC" if "numbers" in data else "UAR"


def _listed(data: Mapping[str, Any]) -> str:
    """What is predicted, in a few words."""
    if "numbers" in data:
        return f"numbers {', '.join(data['numbers'])}"
    several = ", any of them for each item" if predicts_label_sets(data) else ""
    return f"{len(data['classes'])} classes{several}"


def _line(name: str, entry: Mapping[str, Any]) -> str:
    limits = "-" if entry["ci"] is None else "[{:.4f}, {:.4f}]".format(*entry["ci"])
    line = f"{name:<28}{entry['value']:>8.4f}  {limits:<16}  "
    line += calibration_note(entry)
    if entry["baseline"] is not None:
        line += (
            f"{entry['baseline']['value']:.4f} ({short_name(entry['baseline']['name'], 'audio')})"
        )
    if entry["below_baseline"]:
        line += "  BELOW THE TRIVIAL BASELINE"
    return line.rstrip()
