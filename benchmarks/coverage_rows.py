"""Rows of the coverage table: what a simulation of intervals or tests measured."""

from __future__ import annotations

import math
from typing import NamedTuple


class IntervalRow(NamedTuple):
    """Coverage of one interval at one setting.

    Attributes:
        score: kind of score, such as ``share``.
        setting: sample size and truth, in a few words.
        datasets: number of simulated data sets.
        coverage: share of data sets whose interval contains the truth.
        below: share of data sets whose interval lies below the truth.
        above: share of data sets whose interval lies above the truth.
        width: mean width of the interval.
        reference: mean width of the exact or oracle interval; None without one.
    """

    score: str
    setting: str
    datasets: int
    coverage: float
    below: float
    above: float
    width: float
    reference: float | None

    @property
    def monte_carlo_error(self) -> float:
        """Standard error of the coverage."""
        return standard_error(self.coverage, self.datasets)


class ErrorRow(NamedTuple):
    """How often one test rejects at one setting.

    Attributes:
        test: name of the test.
        setting: sample size and effect, in a few words.
        datasets: number of simulated data sets.
        rejected: share of data sets in which the test rejects.
        is_null: whether the null hypothesis is true, so that the share is an error rate;
            otherwise it is the power.
    """

    test: str
    setting: str
    datasets: int
    rejected: float
    is_null: bool

    @property
    def monte_carlo_error(self) -> float:
        """Standard error of the share of rejections."""
        return standard_error(self.rejected, self.datasets)


def standard_error(share: float, n: int) -> float:
    """Return the binomial standard error of *share* among *n*."""
    return math.sqrt(share * (1 - share) / n)
