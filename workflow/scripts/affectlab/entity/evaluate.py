"""Score stored predictions of one run.

Everything here is computed from the stored predictions, so a score can be recomputed, or a new one
added, without training again.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from affectlab.config.models import Bootstrap
from affectlab.datasets.subgroups import read_subgroups
from affectlab.entity import embedding_scores, score_intervals, scores
from affectlab.entity.outside import fitted_calibrations, swapped_classes, targets_to_leave_out
from affectlab.entity.predictions import Corpus, read_corpora, read_predictions
from affectlab.entity.settings import EntityRun
from affectlab.entity.subgroups import target_items
from affectlab.evaluation import stats
from affectlab.evaluation.by_subgroup import subgroups_record
from affectlab.evaluation.calibration import calibration_metric
from affectlab.evaluation.captions import run_on_data
from affectlab.evaluation.plots import figures_of
from affectlab.evaluation.predictions import Scope, scope_of
from affectlab.evaluation.records import ScoredRun, metric
from affectlab.files.integrity import check_directory, checked
from affectlab.files.io import read_json

CROSS_VALIDATION = "cross-validation"
"""Stands for the split where every item was predicted once, without its fold."""

TASK_VERSION = 2
"""Rises when labels or scoring change, so that only comparable numbers are compared."""


@dataclass(frozen=True, slots=True)
class Scorable:
    """What a run predicted of the items of a split, ready to be scored.

    Attributes:
        ids: of the targets.
        table: as `scores.columns` gives it, of all folds.
        groups: group of each item, (n,).
        first: the items of the first fold; all of them without folds.
    """

    ids: tuple[str, ...]
    table: dict[str, stats.Array]
    groups: stats.Integers
    first: scores.Items

    def without(self, ids: Container[str]) -> Scorable | None:
        """The same less the targets *ids*; None if that leaves none."""
        kept = [place for place, name in enumerate(self.ids) if name not in ids]
        if not kept:
            return None
        table = {name: column[kept] for name, column in self.table.items()}
        names = tuple(self.ids[place] for place in kept)
        return Scorable(names, table, self.groups[kept], self.first)


def evaluate(
    run: ScoredRun[EntityRun],
    *,
    predictions_path: Path | str,
    records_path: Path | str,
    description_path: Path | str,
    model_directories: Sequence[Path | str],
    figures: Path | str | None,
    outside: tuple[Path | str, Path | str] | None = None,
    subgroups_path: Path | str | None = None,
) -> None:
    """Score one run: metrics.json, run.json and the figures.

    Args:
        run: what is scored, and where its records go.
        predictions_path: predictions.parquet of the run.
        records_path: records.jsonl of its data.
        description_path: description.json of its data.
        model_directories: of the run, for calibration and prototypes; of a cross-validation one of
            each fold; none where somebody else predicted.
        figures: folder of the figures; None where somebody else predicted.
        outside: outside.json and the data's audit.json, where somebody else predicted.
        subgroups_path: subgroups.jsonl of its data, where the entry names subgroups.

    Raises:
        DataError: an input does not hold what it should.
    """
    corpora = read_corpora(records_path, description_path)
    classes, whole_texts = corpora[0].classes, corpora[0].whole_texts
    theirs: dict[str, Any] = {} if outside is None else read_json(outside[0])
    found, calibrations = scorable(
        predictions_path,
        corpora,
        [stored_calibration(directory, whole_texts) for directory in model_directories],
        None if outside is None else scope_of(theirs),
    )
    level = run.bootstrap.level
    splits = {split: _scored_split(items, classes, run.bootstrap) for split, items in found.items()}
    test, table = splits.pop("test"), found["test"].table
    if outside is None:
        details = _details(found, calibrations)
    else:
        folded = len(corpora) > 1
        left_out = targets_to_leave_out(outside[1], records_path, theirs, folded=folded)
        if left_out is not None and (rest := found["test"].without(left_out)) is not None:
            splits["test_without_overlap"] = _scored_split(rest, classes, run.bootstrap)
        swapped: dict[str, Any] = {"swapped_names": {}}
        if not whole_texts:
            swapped = swapped_classes(table, found["test"].groups, classes, level)
        details = {"outside": {**theirs, **swapped}}
    record = {
        "metrics": test.pop("metrics"),
        "other_splits": splits,
        "per_class": per_class(table["truth"], table["decided"], classes),
        "calibration": _calibration_record(calibrations),
        "details": details,
        **run.header(
            "entity",
            TASK_VERSION,
            method=run.recipe.method,
            model=run.recipe.model_name,
            data={
                "split": "test" if len(corpora) == 1 else CROSS_VALIDATION,
                **test,
                "classes": list(classes),
            },
            data_paths=(records_path,),
        ),
        **subgroups_record(
            read_subgroups(subgroups_path),
            lambda: target_items(found["test"].ids, found["test"].groups, table, level),
            run.bootstrap,
        ),
    }
    if not whole_texts:
        record["confusion_matrix"] = stats.confusion_matrix(
            table["truth"].argmax(axis=1), table["decided"].argmax(axis=1), len(classes)
        ).tolist()
    if figures is not None:
        with figures_of(run_on_data(record)):
            _draw(Path(figures), found["test"], calibrations, details["kappa_bins"], classes)
    run.write(record)


def _calibration_record(calibrations: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The mean temperature of the models; None without one."""
    if calibrations[0]["temperature"] is None:
        return None
    return {
        "temperature": fmean(one["temperature"] for one in calibrations),
        "fitted_on": "validation",
        "bins": scores.BINS,
    }


def scorable(
    predictions_path: Path | str,
    corpora: Sequence[Corpus],
    calibrations: Sequence[Mapping[str, Any]],
    scope: Scope | None,
) -> tuple[dict[str, Scorable], Sequence[Mapping[str, Any]]]:
    """Read the predictions of a run: split -> its items, and the calibration of each corpus.

    Args:
        predictions_path: predictions.parquet of the run.
        corpora: the data; of a cross-validation as each fold sees them.
        calibrations: of the model of each corpus, see `stored_calibration`.
        scope: where somebody else predicted, whose calibrations are fitted here; else None.

    Raises:
        DataError: the predictions are not those of the data.
    """
    parts = read_predictions(predictions_path, corpora, scope)
    if scope is not None:
        calibrations = fitted_calibrations(parts)
    found = {}
    for split in parts[0]:
        # Of a fold, all items may be missing.
        scored_parts = [
            (part[split], calibration, corpus)
            for part, calibration, corpus in zip(parts, calibrations, corpora, strict=True)
            if part[split].ids
        ]
        tables = [
            scores.columns(items, calibration, corpus.train_prior, corpus.classes)
            for items, calibration, corpus in scored_parts
        ]
        found[split] = Scorable(
            tuple(name for items, _, _ in scored_parts for name in items.ids),
            {name: np.concatenate([table[name] for table in tables]) for name in tables[0]},
            np.concatenate([items.groups for items, _, _ in scored_parts]),
            scored_parts[0][0],
        )
    return found, calibrations


def _scored_split(items: Scorable, classes: Sequence[str], bootstrap: Bootstrap) -> dict[str, Any]:
    """Sizes and scores of a split, as `metrics.json` holds them."""
    return {
        "n": len(items.groups),
        "groups": len(np.unique(items.groups)),
        "metrics": scored(items.table, items.groups, bootstrap, classes),
    }


def _details(
    found: Mapping[str, Scorable], calibrations: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Describe the concentrations, the prototypes, and what was fitted on validation.

    Of a cross-validation each fold has its own scale of kappa, and none is given.
    """
    mean_kappa = float(found["test"].table["kappa"].mean())
    single = calibrations[0] if len(calibrations) == 1 else {"kappa": None, "thresholds": None}
    return {
        "mean_kappa": mean_kappa,
        "validation_mean_kappa": float(found["validation"].table["kappa"].mean()),
        "mean_cosine_of_mean_kappa": float(embedding_scores.mean_cosine(np.array(mean_kappa))),
        "mean_prototype_cosine": fmean(
            embedding_scores.mean_pairwise_cosine(one["prototypes"]) for one in calibrations
        ),
        "kappa_scale": single["kappa"],
        "thresholds": single["thresholds"],
        "kappa_bins": kappa_bins(found["test"].table),
    }


def _draw(
    folder: Path,
    test: Scorable,
    calibrations: Sequence[Mapping[str, Any]],
    bins: Sequence[Mapping[str, float]],
    classes: Sequence[str],
) -> None:
    """Draw the figures of the test split; the map of one model, so of the first fold."""
    from affectlab.entity.figures import embedding_map, kappa_plot
    from affectlab.evaluation import plots

    assert test.first.embedding is not None
    mu = test.first.embedding.mu
    kappa_plot(folder / "kappa", bins, test.table)
    embedding_map(
        folder / "map",
        mu,
        calibrations[0]["prototypes"],
        {name: column[: len(mu)] for name, column in test.table.items()},
        classes,
        "the test split" if len(calibrations) == 1 else "the first fold",
    )
    curves = {"as trained": "ece", "after temperature scaling": "ece_calibrated"}
    plots.reliability(
        folder / "reliability",
        {
            label: stats.reliability_of_sums(test.table[name].sum(axis=0))
            for label, name in curves.items()
        },
    )


@checked("model_directory", check_directory)
def stored_calibration(model_directory: Path | str, whole_texts: bool) -> dict[str, Any]:
    """A model's calibration for whole texts or for spans, and its unit ``prototypes``."""
    from safetensors.numpy import load_file

    folder = Path(model_directory)
    prototypes = load_file(folder / "heads.safetensors")["prototypes"].astype(np.float64)
    prototypes /= np.linalg.norm(prototypes, axis=1, keepdims=True)
    kind = "texts" if whole_texts else "spans"
    return {**read_json(folder / "gbert.json")["calibration"][kind], "prototypes": prototypes}


def replicates(
    table: Mapping[str, stats.Array], groups: stats.Integers, bootstrap: Bootstrap
) -> dict[str, stats.Floats]:
    """Every score of every resample: name -> (resamples,), the same groups for equal seeds."""
    each = [
        scores.score(table, items)
        for items in stats.resampled_items(groups, bootstrap.resamples, bootstrap.seed)
    ]
    return {name: np.array([one[name] for one in each]) for name in each[0]}


def scored(
    table: Mapping[str, stats.Array],
    groups: stats.Integers,
    bootstrap: Bootstrap,
    classes: Sequence[str],
) -> dict[str, Any]:
    """All scores with intervals and trivial baselines, as `metrics.json` holds them.

    A score that does not exist for these items is left out; a rank correlation that exists for less
    than half of the resamples has no interval.
    """
    values = scores.score(table, np.arange(len(groups)))
    trivial = {
        name: baseline
        for name, baseline in scores.trivial_scores(table, classes).items()
        if not np.isnan(baseline[1])
    }
    limits = score_intervals.of_counts(table, groups, bootstrap.level)
    limits |= score_intervals.of_means(table, groups, bootstrap.level)
    limits |= score_intervals.of_resamples(
        values, replicates(table, groups, bootstrap), groups, bootstrap.level
    )
    errors = score_intervals.of_calibration(table, groups, bootstrap.level, bootstrap.seed)
    found = {}
    for name, value in values.items():
        if np.isnan(value):
            continue
        if name in errors:
            found[name] = calibration_metric(errors[name])
            continue
        interval = limits.get(name)
        found[name] = metric(
            value,
            scores.DIRECTIONS[name],
            # The value is summed in another order than its interval.
            interval and (min(interval.low, value), max(interval.high, value)),
            trivial.get(name),
        )
    return found


def per_class(truth: stats.Array, decided: stats.Array, classes: Sequence[str]) -> dict[str, Any]:
    """Precision, recall and F1 of each class of decisions, bool (n, K)."""
    hits = (truth & decided).sum(axis=0)
    support, predicted = truth.sum(axis=0), decided.sum(axis=0)
    return {
        name: {
            "precision": float(hits[place] / max(predicted[place], 1)),
            "recall": float(hits[place] / max(support[place], 1)),
            "f1": float(2 * hits[place] / max(support[place] + predicted[place], 1)),
            "support": int(support[place]),
            "predicted": int(predicted[place]),
        }
        for place, name in enumerate(classes)
    }


def kappa_bins(table: Mapping[str, stats.Array]) -> list[dict[str, float]]:
    """For each bin of the concentration its mean, the mean cosine, and the one it predicts."""
    names = ("kappa", "cosine", "foretold_cosine", "entropy")
    return [
        {
            "n": len(part),
            **{name: float(table[name][part].mean()) for name in names},
        }
        for part in embedding_scores.kappa_bins(table["kappa"])
    ]
