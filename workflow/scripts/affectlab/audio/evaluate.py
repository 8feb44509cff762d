"""Score the stored predictions of one run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from affectlab.audio import outside as theirs
from affectlab.audio.baselines import constant_answers, trivial_probes, trivial_scores
from affectlab.audio.figures import Panels, draw
from affectlab.audio.label_set_predictions import PredictedSets, read_set_predictions
from affectlab.audio.label_set_scores import score_label_sets, trivial_label_sets
from affectlab.audio.label_set_target import THRESHOLDS
from affectlab.audio.model import load
from affectlab.audio.number_predictions import PredictedNumbers, read_number_predictions
from affectlab.audio.number_scores import score_numbers, trivial_numbers
from affectlab.audio.outside import read_outside, swapped_classes, without_trained
from affectlab.audio.predictions import (
    GROUPED,
    PUBLISHED,
    Corpus,
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
from affectlab.audio.scores import headline_of, predicts_label_sets
from affectlab.audio.settings import AudioRun
from affectlab.audio.subgroup_scores import class_items, number_items
from affectlab.audio.subgroups import item_subgroups
from affectlab.audio.tasks import TRIVIAL, speakers_known, task_classes
from affectlab.config.models import Bootstrap
from affectlab.datasets.description import Description
from affectlab.datasets.label_sets import LABEL_SETS
from affectlab.datasets.subgroups import read_subgroups
from affectlab.errors import UserError
from affectlab.evaluation import multilabel, stats
from affectlab.evaluation.by_subgroup import ScoredItems, subgroup_lines, subgroups_record
from affectlab.evaluation.classification import per_class
from affectlab.evaluation.outside_words import outside_sentences
from affectlab.evaluation.records import ScoredRun, calibration_note, rounded
from affectlab.files.io import read_json, write_text

TASK_VERSION = 3
"""Rises when labels or scoring change, so that only comparable numbers are compared."""

WITHOUT_OVERLAP = "test_without_overlap"
"""Scores of somebody else's predictions without the items that their model was trained on."""

T = TypeVar("T", Predicted, PredictedNumbers, PredictedSets)

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
        facts: Mapping[str, Any] = {"classes": task_classes(outside[1].classes, task)}
        details = read_outside(*outside)
        main = details["outside"]["scheme"]
    else:
        assert model_directory is not None
        assert details_path is not None
        facts, details = load(model_directory).facts, read_json(details_path)
        main = main_scheme(run.recipe)
    scored = _scorer_of(facts)(predictions_path, facts, corpus, main, details, run.bootstrap)
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
    draw(figures, record, scored.panels)
    write_text(text_path, results_text(record))
    run.write(record)


def main_scheme(recipe: AudioRun) -> str:
    """The scheme whose scores are the result of a run of our own."""
    return PUBLISHED if recipe.protocol == "published" else GROUPED


def interval_covers(details: Mapping[str, Any], main: str) -> str:
    """What the interval of the main scheme is about."""
    known = speakers_known(details)
    if "outside" in details:
        return theirs.COVERS if known else theirs.COVERS_CLIPS
    return (INTERVAL_COVERS if known else COVERS_CLIPS)[main]


class _Scored(NamedTuple):
    """What `evaluate` needs of a run, whatever its target.

    Attributes:
        subjects: of each item of the main scheme.
        names: of the classes or numbers, and the target, as the record of the data holds them.
        scores: as of `scored_record`.
        details: of the record, on top of those of the run.
        panels: see `figures.Panels`; none where each item has one class.
        items: computes the items with the scores that subgroups have.
    """

    subjects: Sequence[str]
    names: Mapping[str, Any]
    scores: Mapping[str, Any]
    details: Mapping[str, Any]
    panels: Panels
    items: Callable[[], ScoredItems]


def _score_classes(
    path: Path,
    facts: Mapping[str, Any],
    corpus: Corpus,
    main: str,
    details: Mapping[str, Any],
    bootstrap: Bootstrap,
) -> _Scored:
    classes = facts["classes"]
    found = _with_refits(read_predictions(path, classes, corpus, main), details)
    head = found[main]
    more = {
        "constant_answers": rounded(constant_answers(head.labels, classes)),
        "repeats": len(head.probabilities),
    }
    scores = scored_record(found, main, classes, bootstrap)
    if "outside" in details:
        table = details["outside"]
        more["outside"] = {**table, "swapped_names": swapped_classes(head, classes)}
        rest = without_trained(head, table)
        if rest is not None:
            scores["other_splits"][WITHOUT_OVERLAP] = score_scheme(rest, classes, bootstrap)
    return _Scored(
        head.subjects,
        {"classes": list(classes)},
        scores,
        more,
        {},
        lambda: class_items(head, len(classes), bootstrap),
    )


def _score_numbers(
    path: Path,
    facts: Mapping[str, Any],
    corpus: Corpus,
    main: str,
    details: Mapping[str, Any],
    bootstrap: Bootstrap,
) -> _Scored:
    names = facts["numbers"]
    found = _with_refits(read_number_predictions(path, names, corpus, main), details)
    head = found[main]
    predicted = head.values.mean(axis=0)
    panels = {name: (head.true[:, d], predicted[:, d]) for d, name in enumerate(names)}
    scores = number_record(found, main, names, bootstrap)
    return _Scored(
        head.subjects,
        {"numbers": list(names)},
        scores,
        {"repeats": len(head.values)},
        panels,
        lambda: number_items(head, names, bootstrap),
    )


def _score_label_sets(
    path: Path,
    facts: Mapping[str, Any],
    corpus: Corpus,
    main: str,
    details: Mapping[str, Any],
    bootstrap: Bootstrap,
) -> _Scored:
    classes = facts["classes"]
    found = _with_refits(read_set_predictions(path, classes, corpus, main), details)
    pooled = found[main].pooled()
    panels = {
        name: (pooled.true[:, k], pooled.stated[:, k], pooled.decided[:, k])
        for k, name in enumerate(classes)
    }
    return _Scored(
        found[main].subjects,
        {"classes": list(classes), "target": LABEL_SETS},
        label_set_record(found, main, classes, bootstrap),
        {"repeats": len(found[main].repeats)},
        panels,
        _without_subgroups,
    )


def _without_subgroups() -> ScoredItems:
    raise UserError("recordings with several classes have no scores by subgroup")


def _scorer_of(facts: Mapping[str, Any]) -> Callable[..., _Scored]:
    """How the predictions of a probe are scored, by its facts."""
    if "numbers" in facts:
        return _score_numbers
    return _score_label_sets if THRESHOLDS in facts else _score_classes


def _with_refits(found: Mapping[str, T], details: Mapping[str, Any]) -> dict[str, T]:
    """Predictions by scheme, with how far their scores move when they are refitted."""
    return {name: replace(one, refits=read_refits(details, name)) for name, one in found.items()}


def number_record(
    found: Mapping[str, PredictedNumbers],
    main: str,
    names: Sequence[str],
    bootstrap: Bootstrap,
) -> dict[str, Any]:
    """The scores of a run that predicts numbers; as of `scored_record`, all of every scheme."""
    rivals = trivial_numbers(found, main, names)
    scored = {}
    for scheme, one in found.items():
        own = rivals
        if one.ids != found[main].ids or scheme in TRIVIAL:
            own = trivial_numbers({scheme: one}, scheme, names)
        scored[scheme] = score_numbers(one, names, bootstrap, own)
    return {"metrics": scored.pop(main)["metrics"], "other_splits": scored}


def label_set_record(
    found: Mapping[str, PredictedSets],
    main: str,
    classes: Sequence[str],
    bootstrap: Bootstrap,
) -> dict[str, Any]:
    """The scores of a run that predicts label sets; as of `scored_record`, all of every scheme."""
    rivals = trivial_label_sets(found, main)
    scored = {}
    for scheme, one in found.items():
        own = rivals
        if one.ids != found[main].ids or scheme in TRIVIAL:
            own = trivial_label_sets({scheme: one}, scheme)
        scored[scheme] = score_label_sets(one, bootstrap, own)
    return {
        "metrics": scored.pop(main)["metrics"],
        "other_splits": scored,
        "per_class": multilabel.per_class(found[main].pooled(), classes),
    }


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
    if head.ranked:
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
        line += f"{entry['baseline']['value']:.4f} ({entry['baseline']['name']})"
    if entry["below_baseline"]:
        line += "  BELOW THE TRIVIAL BASELINE"
    return line.rstrip()
