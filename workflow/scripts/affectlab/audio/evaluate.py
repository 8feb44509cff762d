"""Score stored predictions: one run by itself, and all runs against each other."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from affectlab.audio import refits as refitting
from affectlab.audio.experiment import GROUPED, OFFICIAL, PUBLISHED
from affectlab.audio.items import TRIVIAL
from affectlab.audio.model import load
from affectlab.audio.predictions import Predicted, read_corpus, read_predictions
from affectlab.audio.refits import Halves, Refits, SharedFolds
from affectlab.audio.scores import average_precision, mean_roc_area, unweighted_scores
from affectlab.errors import UserError
from affectlab.evaluation import intervals, stats
from affectlab.evaluation.calibration import calibration_error, calibration_metric
from affectlab.evaluation.classification import per_class
from affectlab.evaluation.comparison import Resamples, Run, Trials, comparison_record
from affectlab.evaluation.records import (
    Direction,
    ScoredRun,
    calibration_note,
    metric,
    read_metrics,
    rounded,
    strongest,
    write_record,
)
from affectlab.files.io import read_json, write_text

TASK_VERSION = 3
"""Rises when labels or scoring change, so that only comparable numbers are compared."""

INTERVAL_COVERS = {
    GROUPED: "the mean score of this procedure over data sets of this size: other subjects to "
    "train on and other subjects to score; not other choices made on these data",
    PUBLISHED: "other validation clips of the same subjects' distribution for this one split and "
    "this one head; neither another split or training, nor that the epoch was chosen on the "
    "clips that are scored",
}
"""What the interval of the main scheme is about."""

BINS = 10
"""Bins of the expected calibration error: there are few items."""

HEADLINE = ("uar", "accuracy")
COMPARED = ("uar", "accuracy")

REFITTED = 2.25
"""How often the variance over subjects counts in a pair of cross-validated probes.

The folds share most of their training subjects, so the scores of different test folds are not
independent. Nadeau and Bengio (Machine Learning 52 (2003) 239, doi 10.1023/A:1024068626366) add
test over training size to the 1 over the number J of folds: the variance counts 1 + J / (J - 1)
times, 2.25 for five folds.
"""

Baselines = dict[str, tuple[str, float]]
"""Score -> name and value of a trivial baseline."""

DECISIONS: dict[str, Callable[[stats.Array], stats.Floats]] = {
    "uar": stats.balanced_accuracy,
    "accuracy": stats.accuracy,
    "macro_f1": stats.macro_f1,
}
"""Scores of the confusion matrix. The unweighted average recall is the balanced accuracy."""


class Score(NamedTuple):
    """A score over repeats: its mean, and replicates of that mean.

    The replicates come from a bootstrap over subjects; those of a cross-validation are stretched
    to the variance that refits show.
    """

    value: float
    replicates: stats.Floats
    each: list[float]
    direction: Direction


def read_refits(record: Mapping[str, Any], scheme: str) -> Refits | None:
    """How far the scores of a scheme move when it is repeated on other subjects.

    Args:
        record: ``details`` of a run.
        scheme: a key of predictions.jsonl. Layers by themselves and clips split at random take
            the refits of the main scheme.

    Returns:
        None for a single split, whose interval is that of its test items alone.
    """
    if scheme == OFFICIAL or record["outer_folds"] is None:
        return None
    if record["halves"] is None:
        return SharedFolds(record["outer_folds"], record["rarest"])
    return Halves.from_record(record["halves"].get(scheme, record["halves"][GROUPED]))


def decision_scores(
    predicted: Predicted, classes: int, bootstrap: Mapping[str, Any]
) -> dict[str, Score]:
    """Scores of the confusion matrix, each over repeats, subjects resampled alike for all."""
    table = _confusion_table(predicted, classes)
    sums = stats.resample_sums(table, bootstrap["resamples"], bootstrap["seed"])
    scores = {}
    for name, function in DECISIONS.items():
        each = [float(value) for value in function(_matrices(table.sum(axis=0), classes))]
        replicates = function(_matrices(sums, classes)).mean(axis=-1)
        scores[name] = _score(predicted, name, each, replicates, bootstrap["level"])
    return scores


def _score(
    predicted: Predicted, name: str, each: list[float], replicates: stats.Floats, level: float
) -> Score:
    """A score with its replicates, stretched where it is cross-validated."""
    value, repeats = float(np.mean(each)), len(each)
    known = float(np.var(replicates, ddof=1))
    refits = predicted.refits
    spread = None if refits is None else refits.spread(name, known, repeats)
    units = _independent_units(predicted)
    stretched = refitting.stretched(value, replicates, spread, level, units)
    return Score(value, stretched, each, "higher")


def _independent_units(predicted: Predicted) -> int:
    """Subjects, or those of the rarest class times the classes where that is less."""
    rarest = refitting.rarest_class(predicted.labels, predicted.subjects)
    return min(len(set(predicted.subjects)), rarest * len(np.unique(predicted.labels)))


def _confusion_table(predicted: Predicted, classes: int) -> stats.Floats:
    """``[subjects, repeats * K * K]``: what each subject adds to the matrix of each repeat."""
    columns = [
        stats.confusion_columns(predicted.labels, decisions, classes)
        for decisions in predicted.decisions
    ]
    return stats.group_sums(np.hstack(columns), predicted.subjects)


def _matrices(sums: stats.Array, classes: int) -> stats.Array:
    """Sums ``[..., repeats * K * K]`` as matrices ``[..., repeats, K, K]``."""
    return sums.reshape(*sums.shape[:-1], -1, classes, classes)


def _interval(score: Score, level: float) -> tuple[float, float] | None:
    if not len(score.replicates):
        return None
    return refitting.limits(score.value, score.replicates, level)


def trivial_scores(labels: stats.Integers, classes: int) -> Baselines:
    """What always answering the commonest class reaches on the same items; chance for areas."""
    commonest = int(np.bincount(labels, minlength=classes).argmax())
    confusion = stats.confusion_matrix(labels, np.full(len(labels), commonest), classes)
    found = {name: ("majority", float(score(confusion))) for name, score in DECISIONS.items()}
    found["auc"] = ("chance", 0.5)
    if classes == 2:
        found["pr_auc"] = ("positive_share", float((labels == 1).mean()))
    return found


def constant_answers(labels: stats.Integers, classes: Sequence[str]) -> dict[str, dict[str, float]]:
    """What each answer that listens to nothing reaches: always the same class.

    Returns:
        Class -> its scores if it is always answered, "per-class accuracies" among them.
    """
    names = one_vs_rest_names(classes)
    found = {}
    for answer, name in enumerate(classes):
        decisions = np.full(len(labels), answer)
        confusion = stats.confusion_matrix(labels, decisions, len(classes))
        scores = {key: float(score(confusion)) for key, score in DECISIONS.items()}
        for place, key in enumerate(names):
            right = (decisions == place) == (labels == place)
            scores[key] = float(right.mean())
        found[name] = scores
    return found


def ranking_scores(
    predicted: Predicted, classes: int, bootstrap: Mapping[str, Any]
) -> dict[str, Score]:
    """Area under the ROC curve, and for two classes under the precision-recall curve, too.

    With more classes the ROC area is the mean, over the classes that occur, of each against the
    rest. The replicates are empty where most resamples lack a class.

    Raises:
        UserError: all items are of one class, so that there is nothing to rank.
    """
    labels = predicted.labels
    if len(np.unique(labels)) < 2:
        raise UserError(
            f"all {len(labels)} items that were predicted are of one class, so that no score tells "
            "a good answer from a constant one: hold more of them out, or take another seed"
        )
    weights = np.vstack([np.ones((1, len(labels))), _subject_weights(predicted, bootstrap)])
    areas = {"auc": [mean_roc_area(labels, p, weights) for p in predicted.probabilities]}
    if classes == 2:
        areas["pr_auc"] = [
            average_precision(labels == 1, p[:, 1], weights) for p in predicted.probabilities
        ]
    found = {}
    for name, of_repeats in areas.items():
        each = [float(values[0]) for values in of_repeats]
        replicates = np.mean([values[1:] for values in of_repeats], axis=0)
        defined = replicates[~np.isnan(replicates)]
        if 2 * len(defined) < len(replicates):
            # Of so few subjects with a class that most resamples have none of them.
            found[name] = Score(float(np.mean(each)), np.empty(0), each, "higher")
        else:
            found[name] = _score(predicted, name, each, defined, bootstrap["level"])
    return found


def _subject_weights(predicted: Predicted, bootstrap: Mapping[str, Any]) -> stats.Floats:
    """``[resamples, n]``, how often each resample of the subjects draws each item."""
    names, codes = np.unique(predicted.subjects, return_inverse=True)
    generator = np.random.default_rng(bootstrap["seed"])
    shares = np.full(len(names), 1 / len(names))
    drawn = generator.multinomial(len(names), shares, size=bootstrap["resamples"])
    return np.asarray(drawn[:, codes], dtype=np.float64)


def calibration_scores(
    predicted: Predicted, bootstrap: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Expected calibration error of all repeats together, as fitted and after scaling."""
    found = {}
    sets = {"ece": predicted.probabilities}
    if predicted.calibrated is not None:
        sets["ece_calibrated"] = predicted.calibrated
    for name, probabilities in sets.items():
        columns = [
            stats.reliability_columns(
                np.minimum(one.max(axis=1), 1.0), one.argmax(axis=1) == predicted.labels, BINS
            )
            for one in probabilities
        ]
        # A subject's repeats are no more independent than the items of one repeat.
        error = calibration_error(
            np.vstack(columns),
            np.tile(predicted.subjects, len(columns)),
            level=bootstrap["level"],
            seed=bootstrap["seed"],
        )
        found[name] = calibration_metric(error)
    return found


def one_vs_rest_scores(
    predicted: Predicted,
    classes: Sequence[str],
    bootstrap: Mapping[str, Any],
    rivals: Sequence[Baselines] = (),
) -> dict[str, dict[str, Any]]:
    """The published "per-class accuracy": right about whether an item is of the class or not.

    Its baseline is the best of never and always this class, and of *rivals*.
    """
    found = {}
    for place, name in enumerate(one_vs_rest_names(classes)):
        right = _right_about(predicted, place)
        table = stats.group_sums(np.c_[right, np.ones(len(right))], predicted.subjects)
        interval = intervals.mean_interval(table, bootstrap["level"])
        share = float((predicted.labels == place).mean())
        constant = ("never", 1 - share) if share <= 0.5 else ("always", share)
        baseline = strongest("higher", [constant, *(one.get(name) for one in rivals)])
        found[name] = metric(interval.value, "higher", (interval.low, interval.high), baseline)
    return found


def one_vs_rest_values(predicted: Predicted, classes: Sequence[str]) -> dict[str, float]:
    """The values of `one_vs_rest_scores`."""
    names = one_vs_rest_names(classes)
    return {name: float(_right_about(predicted, k).mean()) for k, name in enumerate(names)}


def _right_about(predicted: Predicted, place: int) -> stats.Floats:
    """``[n]``, share of the repeats that are right about whether an item is of a class."""
    is_class = predicted.labels == place
    return np.asarray(np.mean([(d == place) == is_class for d in predicted.decisions], axis=0))


def one_vs_rest_names(classes: Sequence[str]) -> list[str]:
    """Names of the "per-class accuracies"; classes of a manifest may be called anything."""
    plain = [re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") for name in classes]
    if "" in plain or len(set(plain)) < len(plain):
        plain = [f"class{place}" for place in range(len(classes))]
    return [f"ovr_accuracy_{name}" for name in plain]


def score_scheme(
    predicted: Predicted,
    classes: Sequence[str],
    bootstrap: Mapping[str, Any],
    rivals: Sequence[Baselines] = (),
) -> dict[str, Any]:
    """Decision scores of a scheme with intervals and baselines, as `metrics.json` holds them.

    Args:
        predicted: by the scheme.
        classes: names.
        bootstrap: ``resamples``, ``level`` and ``seed``.
        rivals: scores of trivial probes on the same items.
    """
    trivial = [trivial_scores(predicted.labels, len(classes)), *rivals]
    scores = decision_scores(predicted, len(classes), bootstrap)
    return {
        "n": len(predicted.ids),
        "groups": len(set(predicted.subjects)),
        "metrics": _with_baselines(scores, trivial, bootstrap["level"]),
    }


def _with_baselines(
    scores: Mapping[str, Score], trivial: Sequence[Baselines], level: float
) -> dict[str, dict[str, Any]]:
    """Scores as `metrics.json` holds them, each with the strongest of its trivial baselines."""
    return {
        name: metric(
            score.value,
            score.direction,
            _interval(score, level),
            strongest(score.direction, [one.get(name) for one in trivial]),
        )
        for name, score in scores.items()
    }


def trivial_probes(
    found: Mapping[str, Predicted], main: str, classes: Sequence[str]
) -> list[Baselines]:
    """Scores of the probes on duration, loudness and conditions on the items of *main*.

    They are values of one cross-validation by the same folds, and have errors of their own: only
    an interval that lies above them shows that a probe is better.
    """
    rivals = []
    for name in TRIVIAL:
        if name not in found or found[name].ids != found[main].ids:
            continue
        one = found[name]
        scores = [unweighted_scores(one.labels, p, len(classes)) for p in one.probabilities]
        ovr = one_vs_rest_values(one, classes)
        means = {key: float(np.mean([each[key] for each in scores])) for key in scores[0]}
        rivals.append({key: (name, value) for key, value in (means | ovr).items()})
    return rivals


def evaluate(
    run: ScoredRun,
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
    from affectlab.audio import figures as drawings

    classes = load(model_directory).facts["classes"]
    details = read_json(details_path)
    corpus = read_corpus(records_path, measures_path, run.recipe["task"], run.recipe["unit"])
    main = PUBLISHED if run.recipe["protocol"] == "published" else GROUPED
    found = {
        scheme: replace(predicted, refits=read_refits(details, scheme))
        for scheme, predicted in read_predictions(predictions_path, classes, corpus, main).items()
    }
    head = found[main]
    rivals = trivial_probes(found, main, classes)
    scored = score_scheme(head, classes, run.bootstrap, rivals)
    scored["metrics"] |= _with_baselines(
        ranking_scores(head, len(classes), run.bootstrap),
        [trivial_scores(head.labels, len(classes)), *rivals],
        run.bootstrap["level"],
    )
    scored["metrics"] |= calibration_scores(head, run.bootstrap)
    if run.recipe["protocol"] == "published":
        scored["metrics"] |= one_vs_rest_scores(head, classes, run.bootstrap, rivals)
    others = {
        name: score_scheme(
            predicted,
            classes,
            run.bootstrap,
            rivals if predicted.ids == head.ids and name not in TRIVIAL else (),
        )
        for name, predicted in found.items()
        if name != main
    }
    confusion = sum(
        stats.confusion_matrix(head.labels, decisions, len(classes)) for decisions in head.decisions
    )
    record = {
        **run.header(
            "audio",
            TASK_VERSION,
            method=run.recipe["task"],
            model=run.recipe["encoder"],
            data={
                "split": main,
                "n": scored["n"],
                "groups": scored["groups"],
                "classes": list(classes),
            },
            data_paths=(records_path,),
        ),
        "metrics": scored["metrics"],
        "other_splits": others,
        "per_class": per_class(np.asarray(confusion), classes),
        "confusion_matrix": np.asarray(confusion).tolist(),
        "details": details
        | {
            "interval_covers": INTERVAL_COVERS[main],
            "constant_answers": rounded(constant_answers(head.labels, classes)),
            "repeats": len(head.probabilities),
            "task": run.recipe["task"],
            "unit": run.recipe["unit"],
        },
    }
    drawings.draw(figures, record)
    write_text(text_path, results_text(record))
    run.write(record)


def results_text(record: Mapping[str, Any]) -> str:
    """The text of evaluation_results.txt."""
    data, details = record["data"], record["details"]
    level = f"{record['interval']['level']:.0%}"
    lines = [
        f"{record['run']}, seed {record['seed']} ({record['protocol']} protocol)",
        f"task {details['task']} by {details['unit']}; encoder {record['model']['name']};"
        f" data {data['name']}, n = {data['n']} of {data['groups']} subjects,"
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
        lines += [_line(name, entry["metrics"][name]) for name in COMPARED]
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


def compare(
    *,
    metrics_paths: Sequence[Path | str],
    predictions_paths: Sequence[Path | str],
    data_paths: Mapping[str, tuple[Path | str, Path | str]],
    baseline: str | None,
    bootstrap: Mapping[str, Any],
    schema: Path | str,
    output_path: Path | str,
    forest_path: Path,
) -> None:
    """Hold all runs against each other: comparison.json, and a figure with every run.

    Args:
        metrics_paths: metrics.json of every run and seed, in the order wanted.
        predictions_paths: predictions.jsonl of the same, in the same order.
        data_paths: records.jsonl and measures.jsonl by name of the data set.
        baseline: name of the run that others on its data and task are held against.
        bootstrap: ``resamples``, ``level`` and ``seed``.
        schema: schema of comparison.json.
        output_path: where it goes.
        forest_path: where the figure goes, without an ending.
    """
    from affectlab.audio import figures

    runs: dict[str, list[tuple[dict[str, Any], Predicted]]] = {}
    for metrics_path, predictions_path in zip(metrics_paths, predictions_paths, strict=True):
        record = read_metrics(metrics_path)
        data = record["data"]
        details = record["details"]
        corpus = read_corpus(*data_paths[data["name"]], details["task"], details["unit"])
        main = data["split"]
        predicted = read_predictions(predictions_path, data["classes"], corpus, main)[main]
        predicted = replace(predicted, refits=read_refits(details, main))
        runs.setdefault(record["run"], []).append((record, predicted))
    compared = [_run(seeds, bootstrap) for seeds in runs.values()]
    comparison = comparison_record(
        "audio",
        compared,
        baseline=baseline,
        headline=HEADLINE,
        compared=COMPARED,
        bootstrap=bootstrap,
    )
    figures.forest(forest_path, comparison["runs"])
    write_record(output_path, comparison, schema)


def _run(seeds: Sequence[tuple[Mapping[str, Any], Predicted]], bootstrap: Mapping[str, Any]) -> Run:
    """A run from the record and the predictions of each seed.

    Where seeds hold out clips of their own, no resample is common to them: such a run is in no
    pair. The random part of a cross-validated probe is the draw of its folds, so each repeat is
    one of the recipe's trials.
    """
    record, first = seeds[0]
    trials: dict[str, Trials] = {}
    repeats: dict[str, Trials] = {}
    if len({predicted.ids for _, predicted in seeds}) == 1:
        draws = Resamples(first.subjects, bootstrap["resamples"], bootstrap["seed"])
        tables = [
            _confusion_table(predicted, len(record["data"]["classes"])) for _, predicted in seeds
        ]
        for name, score in DECISIONS.items():
            each = [
                _repeated(score, table, draws, len(record["data"]["classes"])) for table in tables
            ]
            repeats[name] = Trials(
                np.concatenate([one.values for one in each]),
                np.concatenate([one.replicates for one in each]),
            )
            trials[name] = Trials(
                np.array([one.mean for one in each]),
                np.array([one.replicates.mean(axis=0) for one in each]),
            )
    return Run(
        records=[one for one, _ in seeds],
        items=(record["data"]["name"], record["method"], first.ids),
        trials=trials,
        bounds=dict.fromkeys(record["metrics"], (0.0, 1.0)),
        repeats=repeats,
        refit_factor=REFITTED if record["data"]["split"] == GROUPED else 1.0,
    )


def _repeated(
    score: Callable[[stats.Array], stats.Floats],
    table: stats.Floats,
    draws: Resamples,
    classes: int,
) -> Trials:
    """A score of each repeat from a `_confusion_table`, with its replicates."""
    replicates = score(_matrices(draws.sums(table), classes))
    return Trials(score(_matrices(table.sum(axis=0), classes)), replicates.T)
