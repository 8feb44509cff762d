"""Score the stored predictions of one run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from affectlab.audio.baselines import constant_answers, trivial_probes, trivial_scores
from affectlab.audio.figures import draw
from affectlab.audio.items import TRIVIAL
from affectlab.audio.model import load
from affectlab.audio.predictions import (
    GROUPED,
    PUBLISHED,
    Predicted,
    read_corpus,
    read_predictions,
)
from affectlab.audio.score_intervals import (
    calibration_scores,
    one_vs_rest_scores,
    ranking_scores,
    read_refits,
    score_scheme,
    with_baselines,
)
from affectlab.audio.scores import HEADLINE
from affectlab.audio.settings import AudioRun
from affectlab.audio.tasks import speakers_known
from affectlab.config.models import Bootstrap
from affectlab.evaluation import stats
from affectlab.evaluation.classification import per_class
from affectlab.evaluation.records import ScoredRun, calibration_note, rounded
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
    details_path: Path,
    records_path: Path,
    measures_path: Path,
    model_directory: Path,
    text_path: Path,
    figures: Path,
) -> None:
    """Score one run: metrics.json, run.json, evaluation_results.txt and the figures.

    Args:
        run: what is scored, and where its records go.
        predictions_path: predictions.jsonl of the run.
        details_path: details.json of the run.
        records_path: records.jsonl of its data.
        measures_path: measures.jsonl of its data.
        model_directory: of the fitted probe, for the names of its classes.
        text_path: where evaluation_results.txt goes.
        figures: folder of the figures.

    Raises:
        DataError: an input does not hold what it should.
    """
    classes = load(model_directory).facts["classes"]
    details, task, unit = read_json(details_path), run.recipe.task, run.recipe.unit
    corpus = read_corpus(records_path, measures_path, task, unit)
    main = PUBLISHED if run.recipe.protocol == "published" else GROUPED
    predicted = read_predictions(predictions_path, classes, corpus, main)
    found = {key: replace(one, refits=read_refits(details, key)) for key, one in predicted.items()}
    head = found[main]
    record = {
        **run.header(
            "audio",
            TASK_VERSION,
            method=task,
            model=run.recipe.encoder,
            data={
                "split": main,
                "n": len(head.ids),
                "groups": len(set(head.subjects)),
                "classes": list(classes),
            },
            data_paths=(records_path,),
        ),
        **scored_record(found, main, classes, run.bootstrap),
        "details": details
        | {
            "interval_covers": (INTERVAL_COVERS if speakers_known(details) else COVERS_CLIPS)[main],
            "constant_answers": rounded(constant_answers(head.labels, classes)),
            "repeats": len(head.probabilities),
            "task": task,
            "unit": unit,
        },
    }
    draw(figures, record)
    write_text(text_path, results_text(record))
    run.write(record)


def scored_record(
    found: Mapping[str, Predicted], main: str, classes: Sequence[str], bootstrap: Bootstrap
) -> dict[str, Any]:
    """The scores of a run, as `metrics.json` holds them, without what identifies the run.

    Args:
        found: predictions by scheme.
        main: the scheme whose scores are the result; it has all of them, the others a few.
        classes: names.
        bootstrap: of the intervals.
    """
    head, rivals = found[main], trivial_probes(found, main, classes)
    scored = {
        name: score_scheme(
            one,
            classes,
            bootstrap,
            rivals if name == main or (one.ids == head.ids and name not in TRIVIAL) else (),
        )
        for name, one in found.items()
    }
    metrics = scored.pop(main)["metrics"]
    trivial = [trivial_scores(head.labels, len(classes)), *rivals]
    metrics |= with_baselines(ranking_scores(head, bootstrap), trivial, bootstrap.level)
    metrics |= calibration_scores(head, bootstrap)
    if main == PUBLISHED:
        metrics |= one_vs_rest_scores(head, classes, bootstrap, rivals)
    labels = np.tile(head.labels, len(head.decisions))
    confusion = stats.confusion_matrix(labels, head.decisions.ravel(), len(classes))
    return {
        "metrics": metrics,
        "other_splits": scored,
        "per_class": per_class(confusion, classes),
        "confusion_matrix": confusion.tolist(),
    }


def results_text(record: Mapping[str, Any]) -> str:
    """The text of evaluation_results.txt."""
    data, details = record["data"], record["details"]
    level = f"{record['interval']['level']:.0%}"
    people = f" of {data['groups']} subjects" if speakers_known(details) else ""
    lines = [
        f"{record['run']}, seed {record['seed']} ({record['protocol']} protocol)",
        f"task {details['task']} by {details['unit']}; encoder {record['model']['name']};"
        f" data {data['name']}, n = {data['n']}{people},"
        f" {len(data['classes'])} classes, {details['repeats']} repeats",
        "",
        f"{'metric':<28}{'value':>8}  {level + ' interval':<18}baseline",
        *(_line(name, entry) for name, entry in sorted(record["metrics"].items())),
    ]
    lines += ["", "answers that listen to nothing"]
    for answer, scores in details["constant_answers"].items():
        listed = ", ".join(
            f"{name} {value:.4f}" for name, value in scores.items() if name in record["metrics"]
        )
        lines.append(f"always {answer}: {listed}")
    for scheme, entry in sorted(record["other_splits"].items()):
        lines += ["", f"{scheme}, n = {entry['n']}"]
        lines += [_line(name, entry["metrics"][name]) for name in HEADLINE]
    if details.get("permutation"):
        test = details["permutation"]
        lines += [
            "",
            f"permutation test ({test['count']}): UAR {test['observed']:.4f}, p = {test['p']:.4g};"
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
    return "\n".join(lines) + "\n"


def _line(name: str, entry: Mapping[str, Any]) -> str:
    limits = "-" if entry["ci"] is None else "[{:.4f}, {:.4f}]".format(*entry["ci"])
    line = f"{name:<28}{entry['value']:>8.4f}  {limits:<16}  "
    line += calibration_note(entry)
    if entry["baseline"] is not None:
        line += f"{entry['baseline']['value']:.4f} ({entry['baseline']['name']})"
    if entry["below_baseline"]:
        line += "  BELOW THE TRIVIAL BASELINE"
    return line.rstrip()
