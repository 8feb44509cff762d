"""Calibration errors with an estimate and an interval that belong together.

The expected calibration error adds up absolute gaps between confidence and accuracy over bins
(`stats.expected_calibration_error`). The gaps of a sample are never 0, so this *plug-in* value is
too high, most of all for small samples and well calibrated models: Roelofs et al., Mitigating Bias
in Calibration Error Estimation, AISTATS 2022. A percentile bootstrap of it lies higher still.

Here the error of the sample is compared with the errors of simulated samples: labels are redrawn
from a model of known calibration error, as in the consistency resampling of Broecker and Smith,
Weather and Forecasting 22 (2007) 651, doi 10.1175/WAF993.1. The models form a path from the
perfectly calibrated one through the gaps of the sample to larger ones. The interval holds the
errors that a two-sided test does not reject: among their simulated samples, the observed plug-in
value is neither too high nor too low. The estimate is the error whose simulated samples have the
observed value as their median, or 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from affectlab.evaluation.intervals import shrunk_effect
from affectlab.evaluation.records import metric
from affectlab.evaluation.stats import Array, Floats

SIMULATIONS = 1000
"""Simulated samples for each model on the path."""

HALVINGS = 14
"""Steps of the search along the path; the end is exact to 2 ** -14 of its length."""

FARTHEST = 12.0
"""End of the path: gaps that are larger than those observed by so many standard errors."""


class CalibrationError(NamedTuple):
    """A mean absolute gap.

    Attributes:
        value: the estimate, corrected for the error of sampling.
        low: lower limit of its interval.
        high: upper limit.
        plug_in: the same of the sample as it is; it is too high.
        if_calibrated: mean plug-in value of samples of this size without any gap.
    """

    value: float
    low: float
    high: float
    plug_in: float
    if_calibrated: float


def calibration_metric(error: CalibrationError) -> dict[str, Any]:
    """Return a calibration error as `metrics.json` holds it.

    It has no trivial baseline: constant class shares are well calibrated and know nothing.
    """
    return {
        **metric(error.value, "lower", (error.low, error.high)),
        "plug_in": error.plug_in,
        "if_calibrated": error.if_calibrated,
    }


class _Bins(NamedTuple):
    """The bins with items, each ``[B]``: gap, its standard error, share of the items."""

    gaps: Floats
    errors: Floats
    weights: Floats


class _Path(NamedTuple):
    """Models of rising calibration error.

    ``gaps`` is from a place to the true gaps ``[B]``, 0 at `start`; ``draw`` from true gaps to
    plug-in values of simulated samples.
    """

    bins: _Bins
    start: float
    gaps: Callable[[float], Floats]
    draw: Callable[[Floats], Floats]

    def error(self, place: float) -> float:
        return float(self.bins.weights @ np.abs(self.gaps(place)))

    def simulated(self, place: float) -> Floats:
        return self.draw(self.gaps(place))


def calibration_error(
    columns: Array, groups: Sequence[Any] | Array, *, level: float, seed: int
) -> CalibrationError:
    """Expected calibration error over bins of equal width, with its interval.

    Args:
        columns: ``[n, 3 * bins]``, `stats.reliability_columns` of each item.
        groups: ``[n]``; items of one group are not independent. Labels are redrawn at the
            effective sample size.
        level: of the interval, such as 0.95.
        seed: of the simulated samples.
    """
    columns = np.asarray(columns, np.float64).reshape(len(columns), 3, -1)
    counts, hits, confidences = columns.sum(axis=0)
    known = counts > 0
    counts, centres = counts[known], confidences[known] / counts[known]
    gaps = hits[known] / counts - centres
    right = columns[:, 1].sum(axis=1)
    residuals = right - columns[:, 2].sum(axis=1) - columns[:, 0][:, known] @ gaps
    effective = np.maximum(np.round(counts / _design_effect(residuals, right, groups)), 1.0)
    rates = ((centres + gaps) * effective + 0.5) / (effective + 1)
    errors = np.sqrt(rates * (1 - rates) / effective)
    weights = counts / counts.sum()

    def draw(true: Floats) -> Floats:
        generator = np.random.default_rng(seed)
        rates = np.clip(centres + true, 0.0, 1.0)
        drawn = generator.binomial(effective.astype(np.int64), rates, (SIMULATIONS, len(rates)))
        return np.asarray(np.abs(drawn / effective - centres) @ weights)

    # A gap of 0 grows to the side that has room.
    signs = np.where(gaps != 0, np.sign(gaps), np.where(centres < 0.5, 1.0, -1.0))
    room = np.where(signs > 0, 1 - centres, centres)
    return _inverted(_Bins(gaps, errors, weights), signs, room, draw, level)


def mean_gap(
    gaps: Array, members: Sequence[Array], groups: Array, *, level: float, seed: int
) -> CalibrationError:
    """Mean over bins of the absolute mean of *gaps* within a bin, with its interval.

    Args:
        gaps: ``[n]``, observed minus expected value of each item.
        members: the places of the items of each bin.
        groups: ``[n]``; items of one group are not independent.
        level: of the interval.
        seed: of the simulated samples.
    """
    filled = [part for part in members if len(part)]
    means = np.array([gaps[part].mean() for part in filled])
    sizes = np.array([len(part) for part in filled], np.float64)
    residuals = np.array(gaps, np.float64)
    for part, mean in zip(filled, means, strict=True):
        residuals[part] -= mean
    effect = _design_effect(residuals, residuals > 0, groups)
    overall = max(float(np.var(residuals)), np.finfo(np.float64).eps)
    spreads = np.array([(np.sum(residuals[part] ** 2) + overall) / len(part) for part in filled])
    errors = np.sqrt(spreads * effect / sizes)
    weights = np.full(len(filled), 1 / len(filled))

    def draw(true: Floats) -> Floats:
        noise = np.random.default_rng(seed).normal(size=(SIMULATIONS, len(errors)))
        return np.asarray(np.abs(true + noise * errors) @ weights)

    signs = np.where(means < 0, -1.0, 1.0)
    return _inverted(_Bins(means, errors, weights), signs, np.full(len(means), np.inf), draw, level)


def _inverted(
    bins: _Bins,
    signs: Floats,
    room: Floats,
    draw: Callable[[Floats], Floats],
    level: float,
) -> CalibrationError:
    """Invert the test of each model on the path.

    Args:
        bins: gaps of the sample.
        signs: ``[B]``, to which side each gap grows.
        room: ``[B]``, how large each gap can be.
        draw: from true gaps to plug-in values of simulated samples.
        level: of the interval.
    """
    start = float((np.abs(bins.gaps) / bins.errors).max())

    def gaps(place: float) -> Floats:
        # Towards perfect calibration, gaps that are small for their error vanish first.
        size = np.maximum(np.abs(bins.gaps) - place * bins.errors, 0.0)
        return np.asarray(signs * np.minimum(size, room))

    path = _Path(bins, start, gaps, draw)
    observed = float(bins.weights @ np.abs(bins.gaps))
    tail = (1 - level) / 2
    calibrated = path.simulated(start)
    slack = 1e-12

    def above(place: float) -> float:
        return float(np.mean(path.simulated(place) >= observed - slack))

    def below(place: float, value: float) -> float:
        return float(np.mean(path.simulated(place) <= value + slack))

    low = 0.0
    if float(np.mean(calibrated >= observed - slack)) < tail:
        low = path.error(_last(start, -FARTHEST, lambda place: above(place) < tail))
    # A lucky sample must not make the upper limit smaller than a typical calibrated one does.
    reference = max(observed, float(np.median(calibrated)))
    high = path.error(_last(start, -FARTHEST, lambda place: below(place, reference) >= tail))
    value = 0.0
    if float(np.mean(calibrated >= observed - slack)) < 0.5:
        value = path.error(_last(start, -FARTHEST, lambda place: above(place) < 0.5))
    # Sampling only adds to the error; a median of few kinds of samples may hide that.
    value = min(value, observed)
    return CalibrationError(
        value, min(low, value), max(high, value), observed, float(calibrated.mean())
    )


def _last(start: float, end: float, holds: Callable[[float], bool]) -> float:
    """Return the last place on the way from *start* to *end* where a condition holds."""
    if holds(end):
        return end
    for _ in range(HALVINGS):
        middle = (start + end) / 2
        if holds(middle):
            start = middle
        else:
            end = middle
    return end


def _design_effect(residuals: Floats, right: Array, groups: Sequence[Any] | Array) -> float:
    """Variance of a sum of residuals over that of independent ones, at least 1.

    Args:
        residuals: ``[n]``, deviations from the mean of their bin.
        right: ``[n]``, two outcomes; see `intervals.shrunk_effect`.
        groups: ``[n]``.
    """
    _, codes = np.unique(np.asarray(groups), return_inverse=True)
    sizes = np.bincount(codes)
    agreeing = float(np.sum(sizes**2) / len(codes))
    independent = float(np.sum(residuals**2))
    between = float(np.sum(np.bincount(codes, weights=residuals) ** 2))
    effect = max(between / independent, 1.0) if independent > 1e-12 else agreeing
    hits = np.bincount(codes, weights=np.asarray(right, np.float64))
    rarer = min(int(np.sum(hits > 0)), int(np.sum(hits < sizes)))
    return float(shrunk_effect(effect, agreeing, rarer))
