"""The von Mises-Fisher distribution on the unit sphere of R^64, stable for any concentration.

A density C(kappa) exp(kappa <mu, x>) with mean direction mu and concentration kappa. Its
normaliser holds the Bessel function I_31(kappa), which over- and underflows; here its logarithm
comes from the uniform asymptotic expansion in the order (https://dlmf.nist.gov/10.41, equation
10.41.3) to the fourth term, relative to the value at kappa = 0, and needs no Bessel function.
Everything is computed in float64 whatever the input: there is one number per span.
"""

from __future__ import annotations

from typing import Any

import torch

DIMENSION = 64
_NU = DIMENSION / 2 - 1
# (power of p, coefficient) of 1 + u_1(p) / nu + ... + u_4(p) / nu^4, with the Debye polynomials u_k
# of DLMF 10.41.10.
_SERIES = (
    (0, 1.0),
    *((power, c / 24 / _NU) for power, c in ((1, 3), (3, -5))),
    *((power, c / 1152 / _NU**2) for power, c in ((2, 81), (4, -462), (6, 385))),
    *(
        (power, c / 414720 / _NU**3)
        for power, c in ((3, 30375), (5, -369603), (7, 765765), (9, -425425))
    ),
    *(
        (power, c / 39813120 / _NU**4)
        for power, c in (
            (4, 4465125),
            (6, -94121676),
            (8, 349922430),
            (10, -446185740),
            (12, 185910725),
        )
    ),
)
_SERIES_AT_ONE = sum(c for _, c in _SERIES)


def log_normaliser(kappa: torch.Tensor) -> torch.Tensor:
    """log C(kappa) - log C(0), for any shape and float dtype; the gradient is -A(kappa), exact.

    Adding it to kappa <mu, x> gives the log-density with respect to the uniform distribution.
    """
    return _LogNormaliser.apply(kappa)


def mean_resultant_length(kappa: torch.Tensor) -> torch.Tensor:
    """A(kappa) = I_32(kappa) / I_31(kappa): the mean cosine to the mean direction, in 0..1."""
    return _MeanResultantLength.apply(kappa)


def kl_to_uniform(kappa: torch.Tensor) -> torch.Tensor:
    """Kullback-Leibler divergence of the distribution from the uniform one, in nats."""
    return kappa * mean_resultant_length(kappa) + log_normaliser(kappa)


class _LogNormaliser(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, kappa: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(kappa)
        return _log_normaliser(kappa.double()).to(kappa.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        (kappa,) = ctx.saved_tensors
        return -gradient * mean_resultant_length(kappa)


class _MeanResultantLength(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, kappa: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(kappa)
        exact = kappa.double()
        return (exact * _ratio(exact)).to(kappa.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        (kappa,) = ctx.saved_tensors
        exact = kappa.double()
        ratio = _ratio(exact)
        # A' = 1 - A^2 - (d - 1) A / kappa, from the recurrences of the Bessel functions.
        slope = 1 - (exact * ratio) ** 2 - (DIMENSION - 1) * ratio
        return gradient * slope.to(kappa.dtype)


def _log_normaliser(kappa: torch.Tensor) -> torch.Tensor:
    z = kappa / _NU
    delta = z * z / (1 + torch.sqrt(1 + z * z))
    log_p = -torch.log1p(delta)
    # S(p) - S(1), without cancellation where p is close to 1.
    change = sum(c * torch.expm1(power * log_p) for power, c in _SERIES)
    return -(
        _NU * (delta - torch.log1p(delta / 2)) + 0.5 * log_p + torch.log1p(change / _SERIES_AT_ONE)
    )


def _ratio(kappa: torch.Tensor) -> torch.Tensor:
    """A(kappa) / kappa: the derivative of the expansion, without a division by kappa."""
    z = kappa / _NU
    s = torch.sqrt(1 + z * z)
    p = 1 / s
    series = sum(c * p**power for power, c in _SERIES)
    slope = sum(power * c * p ** (power - 1) for power, c in _SERIES if power)
    return (1 / (1 + s) - (p * p / 2 + slope * p**3 / series) / _NU) / _NU
