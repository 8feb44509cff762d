"""From probabilities to decisions: what is fitted on the validation split, and how it is used.

Spans have one class, the likeliest: no rule is fitted for them, for a few hundred spans, most of
them neutral, are too few to fit one. Sentences of GoEmotions have one class or more, by thresholds.
Probabilities are float64 (n, K), after temperature scaling.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from affectlab.evaluation import stats
from affectlab.files.io import round_significant

KAPPA_LIMITS = (1e-3, 1e4)
"""Where `vmf.log_normaliser` is checked; calibrated concentrations stay inside."""


OFFSETS = (-50.0, 50.0)
SLOPES = (0.1, 10.0)
"""Bounds of the scale of a concentration; a positive slope keeps the order."""


def decided_classes(
    probabilities: stats.Floats, thresholds: Sequence[float] | stats.Floats | None
) -> stats.Array:
    """The decisions, bool (n, K), at least one class in each row.

    Args:
        probabilities: (n, K).
        thresholds: of each class, those that reach theirs being decided on, or the likeliest where
            none does; None where a target has one class, the likeliest.
    """
    likeliest = probabilities.argmax(axis=1)
    decided = probabilities >= (np.inf if thresholds is None else np.asarray(thresholds))
    empty = ~decided.any(axis=1)
    decided[empty, likeliest[empty]] = True
    return decided


def fit_thresholds(probabilities: stats.Floats, truth: stats.Array) -> stats.Floats:
    """For each class the threshold with the best F1 on the validation split, float64 (K,).

    A threshold lies midway between two neighbouring probabilities. A class that does not occur
    gets 1.

    Args:
        probabilities: of the validation split.
        truth: bool (n, K).
    """
    thresholds = np.ones(truth.shape[1])
    for column in np.flatnonzero(truth.any(axis=0)):
        order = np.argsort(-probabilities[:, column], kind="stable")
        values, hits = probabilities[order, column], truth[order, column].cumsum()
        f1 = 2 * hits / (np.arange(1, len(order) + 1) + hits[-1])
        # Equal probabilities are decided alike.
        f1[:-1][values[:-1] == values[1:]] = -1.0
        last = int(f1.argmax())
        below = values[last + 1] if last + 1 < len(values) else 0.0
        thresholds[column] = (values[last] + below) / 2
    return thresholds


def fit_temperature(probabilities: stats.Floats, labels: stats.Floats) -> float:
    """The temperature that minimises the cross-entropy to soft labels (n, K).

    It has five significant digits. The search is not more precise, and the labels of a training
    are float32. So the predictions of a model have the same temperature wherever they come from.
    """
    from scipy.optimize import minimize_scalar

    def loss(log_temperature: float) -> float:
        softened = stats.apply_temperature(probabilities, float(np.exp(log_temperature)))
        return float(cross_entropy_items(softened, labels).mean())

    bounds = tuple(np.log(stats.TEMPERATURE_RANGE))
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6})
    return round_significant(float(np.exp(found.x)), 5)


def cross_entropy_items(probabilities: stats.Floats, labels: stats.Floats) -> stats.Floats:
    """-sum_c y_c log p_c of each item, in nats, (n,)."""
    logs = np.log(np.maximum(probabilities, stats.SMALLEST_PROBABILITY))
    return -(labels * logs).sum(axis=1)


def expected_cosine(
    mu: stats.Floats, labels: stats.Floats, prototypes: stats.Floats
) -> stats.Floats:
    """sum_c y_c <mu, w_c>: the cosine that a concentration should predict, (n,)."""
    return (labels * (mu @ prototypes.T)).sum(axis=1)


def matched_kappa(probabilities: stats.Floats, prototypes: stats.Floats) -> stats.Floats:
    """The concentration that goes with the probabilities alone, (n,).

    Under probabilities p the prototypes have the mean sum_c p_c w_c; a von Mises-Fisher
    distribution with a mean of that length has this concentration, by the approximation of
    Banerjee et al. 2005 (JMLR 6:1345-1382, eq. 4.4).

    Args:
        probabilities: (n, K).
        prototypes: of unit length, (K, 64).
    """
    length = np.linalg.norm(probabilities @ prototypes, axis=1)
    rest = np.maximum(1.0 - length**2, np.finfo(float).eps)
    return np.clip(length * (prototypes.shape[1] - length**2) / rest, *KAPPA_LIMITS)


def joined_kappa(
    kappa: stats.Floats, probabilities: stats.Floats, prototypes: stats.Floats
) -> stats.Floats:
    """Geometric mean of the learned concentrations (n,) and `matched_kappa`."""
    return np.sqrt(kappa * matched_kappa(probabilities, prototypes))


def fit_kappa_scale(kappa: stats.Floats, cosine: stats.Floats) -> dict[str, float]:
    """Scale and exponent with which exp(offset) kappa^slope predicts the cosines best.

    Least squares between each cosine and the mean cosine A_64 of the scaled concentration; the
    counterpart of a temperature. The likelihood would be ruled by the few items far from their
    class, each of which costs as many nats as kappa is large.

    Args:
        kappa: unscaled concentrations of the validation split, (n,).
        cosine: see `expected_cosine`, (n,).
    """
    import torch
    from scipy.optimize import minimize

    from affectlab.entity.vmf import mean_resultant_length

    logs = np.log(kappa)

    def loss(parameters: stats.Floats) -> float:
        scaled = np.exp(np.clip(parameters[0] + parameters[1] * logs, *np.log(KAPPA_LIMITS)))
        foretold = mean_resultant_length(torch.from_numpy(scaled)).numpy()
        return float(((foretold - cosine) ** 2).mean())

    found = minimize(loss, x0=[0.0, 1.0], method="Nelder-Mead", bounds=(OFFSETS, SLOPES), tol=1e-8)
    return {"offset": float(found.x[0]), "slope": float(found.x[1])}


def scaled_kappa(kappa: stats.Floats, scale: Mapping[str, float]) -> stats.Floats:
    """Concentrations after `fit_kappa_scale`."""
    return np.exp(np.clip(scale["offset"] + scale["slope"] * np.log(kappa), *np.log(KAPPA_LIMITS)))


def fit_calibration(
    *,
    mu: stats.Floats,
    kappa: stats.Floats,
    probabilities: stats.Floats,
    prototypes: stats.Floats,
    labels: stats.Floats,
    whole_texts: bool,
) -> dict[str, Any]:
    """Everything that is fitted on the validation split and stored with a model.

    Args:
        mu: (n, 64).
        kappa: (n,).
        probabilities: (n, K), without temperature.
        prototypes: (K, 64).
        labels: soft, summing to 1, (n, K).
        whole_texts: whether the targets are sentences, with several classes each.

    Returns:
        ``temperature``, ``kappa`` (see `fit_kappa_scale`), and ``thresholds`` of the classes of
        whole texts, None for spans.
    """
    temperature = fit_temperature(probabilities, labels)
    softened = stats.apply_temperature(probabilities, temperature)
    return {
        "temperature": temperature,
        "kappa": fit_kappa_scale(
            joined_kappa(kappa, softened, prototypes), expected_cosine(mu, labels, prototypes)
        ),
        "thresholds": fit_thresholds(softened, labels > 0).tolist() if whole_texts else None,
    }


def calibrated(
    calibration: Mapping[str, Any] | None,
    *,
    kappa: stats.Floats,
    probabilities: stats.Floats,
    prototypes: stats.Floats,
) -> tuple[stats.Floats, stats.Floats]:
    """Probabilities (n, K) and concentrations (n,) after `fit_calibration`.

    Without a calibration both are as they come; where it has no scale of kappa, as that of the
    published model, the concentrations are.
    """
    if calibration is None:
        return probabilities, kappa
    softened = stats.apply_temperature(probabilities, calibration["temperature"])
    if calibration["kappa"] is None:
        return softened, kappa
    joined = joined_kappa(kappa, softened, prototypes)
    return softened, scaled_kappa(joined, calibration["kappa"])
