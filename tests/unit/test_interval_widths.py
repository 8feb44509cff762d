"""No score of any experiment has an interval without width, and each interval holds its value.

The evaluation of each experiment scores predictions whose items all agree: all right, all wrong, or
one constant answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from affectlab.audio import score_intervals as audio
from affectlab.audio.predictions import Predicted
from affectlab.config.models import Bootstrap
from affectlab.entity import evaluate as entity
from affectlab.entity import scores as entity_scores
from affectlab.entity.corrupt import CORRUPTIONS
from affectlab.entity.embedding_scores import Embedding
from affectlab.evaluation.classification import Corpus, Predictions, score_split
from affectlab.face import regressed as face
from affectlab.face.data import Faces
from affectlab.summary import score_intervals as summary
from affectlab.summary.cases import Case
from affectlab.summary.scores import Answer, all_scores

BOOTSTRAP = Bootstrap(resamples=200)


def check(metrics: Mapping[str, Mapping[str, Any]]) -> None:
    """Every interval has a width and holds the value, as it is printed."""
    for name, entry in metrics.items():
        low, high = entry["ci"]
        assert high - low > 1e-4, (name, entry)
        assert low <= entry["value"] <= high, (name, entry)


def _probabilities(decided: np.ndarray, classes: int, certainty: float) -> np.ndarray:
    return np.eye(classes)[decided] * certainty + (1 - certainty) / classes


@pytest.mark.parametrize("certainty", [1.0, 0.7])
@pytest.mark.parametrize("answers", ["right", "wrong", "constant"])
@pytest.mark.parametrize("members", [1, 4])
def test_scores_of_a_classifier(answers: str, certainty: float, members: int) -> None:
    labels = np.arange(24) % 3
    decided = {"right": labels, "wrong": (labels + 1) % 3, "constant": 0 * labels}[answers]
    ids = tuple(f"i{place:02d}" for place in range(24))
    test = Predictions(ids, labels, decided, _probabilities(decided, 3, certainty))
    known = dict(zip(ids, labels.tolist(), strict=True))
    group = {name: place // members for place, name in enumerate(ids)}
    conditions = {split: {"length": [1.0] * 24} for split in ("train", "test")}
    corpus = Corpus.of(("a", "b", "c"), {"train": known, "test": known}, group, conditions)
    found = score_split(test, 1.5, corpus, BOOTSTRAP)["metrics"]
    assert set(found) >= {"accuracy", "macro_f1", "ece", "ece_calibrated", "nll"}
    check(found)
    for name in ("ece", "ece_calibrated"):
        assert found[name]["plug_in"] >= found[name]["value"]
        assert found[name]["if_calibrated"] >= 0


@pytest.mark.parametrize("error", [0.0, 0.3])
def test_regressed_values_of_the_face_experiment(error: float) -> None:
    paths = np.array([f"{place}.png" for place in range(40)])
    truth = np.linspace(-0.9, 0.9, 40)
    names = (*face.AFFECT, *face.PROXIES)
    predicted = {"id": paths[20:]} | dict.fromkeys(names, truth[20:] + error)
    splits = np.repeat(["train", "test"], 20)
    labels = dict.fromkeys(names, truth) | {"image_path": paths, "split": splits}
    none = np.full(40, "", dtype=object)
    faces = Faces(
        np.zeros((40, 1, 1), np.uint8), paths.tolist(), splits, [], [], none, None, None, None
    )
    data = face.ScoredData(faces, labels, Path("metadata.csv"))
    group = {path: place for place, path in enumerate(paths.tolist())}
    found = face.regression_metrics(predicted, data, group, BOOTSTRAP)
    assert len(found) == 6
    check(found)


@pytest.mark.parametrize("answers", ["right", "wrong", "constant"])
@pytest.mark.parametrize("whole_texts", [False, True])
def test_scores_of_the_entity_experiment(answers: str, whole_texts: bool) -> None:
    n, classes = 40, len(entity_scores.CLASSES)
    truth = np.arange(n) % 4
    decided = {"right": truth, "wrong": (truth + 4) % classes, "constant": 0 * truth}[answers]
    labels = np.eye(classes)[truth]
    labels[::2] = 0.8 * labels[::2] + 0.2 * np.eye(classes)[5]
    kappa = 10.0 + np.arange(n)
    items = entity_scores.Items(
        ids=tuple(map(str, range(n))),
        labels=labels,
        intensity=kappa / 100,
        groups=np.arange(n) // 2,
        probabilities=_probabilities(decided, classes, 0.9),
        embedding=Embedding(
            kappa=kappa,
            mu=np.eye(64)[decided],
            pooled=np.eye(64)[truth],
            corrupted_kappa=dict.fromkeys(CORRUPTIONS, kappa - 1),
        ),
        whole_texts=whole_texts,
    )
    calibration = {
        "temperature": 1.0,
        "prototypes": np.eye(64)[:classes],
        "thresholds": [0.5] * classes if whole_texts else None,
    }
    table = entity_scores.columns(
        items, calibration, np.full(classes, 1 / classes), entity_scores.CLASSES
    )
    found = entity.scored(table, items.groups, BOOTSTRAP, entity_scores.CLASSES)
    assert set(found) == set(entity_scores.DIRECTIONS)
    check(found)


@pytest.mark.parametrize("answers", ["right", "empty"])
def test_scores_of_the_summary_experiment(answers: str) -> None:
    cases = [
        Case(
            str(place),
            "test",
            0,
            "en",
            (f"A client met Dr. Jones {place} times.",),
            ("They talked.",),
            "",
            {"topic": f"Meetings with Dr. Jones number {place}."},
            False,
            str(place),
        )
        for place in range(20)
    ]
    given = [
        Answer(case.references if answers == "right" else {}, answers == "right") for case in cases
    ]
    found = all_scores(cases, given)
    limits = {name: summary.interval_of(name, score, BOOTSTRAP) for name, score in found.items()}
    assert set(limits) >= {"valid_output", "rouge1", "bleu", "chrf", "unsupported_names"}
    check({name: {"value": one.value, "ci": (one.low, one.high)} for name, one in limits.items()})


@pytest.mark.parametrize("answers", ["right", "wrong"])
@pytest.mark.parametrize("repeats", [1, 3])
def test_scores_of_the_audio_experiment(answers: str, repeats: int) -> None:
    labels = np.arange(36) % 3
    decided = labels if answers == "right" else (labels + 1) % 3
    probabilities = np.tile(_probabilities(decided, 3, 1.0), (repeats, 1, 1))
    predicted = Predicted(
        tuple(f"c{place:02d}" for place in range(36)),
        tuple(f"s{place // 3:02d}" for place in range(36)),
        labels,
        probabilities,
        probabilities * 0.9 + 0.1 / 3,
    )
    found = audio.calibration_scores(predicted, BOOTSTRAP)
    found |= audio.one_vs_rest_scores(predicted, ("a", "b", "c"), BOOTSTRAP)
    assert len(found) == 5
    check(found)
