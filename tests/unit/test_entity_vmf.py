"""The von Mises-Fisher normaliser against arbitrary-precision arithmetic and finite differences."""

import mpmath
import numpy as np
import pytest
import torch
from scipy import integrate
from torch.autograd import gradcheck, gradgradcheck

from affectlab.entity import vmf
from affectlab.entity.embedding_scores import mean_cosine

KAPPAS = [1e-3, 1e-2, 0.1, 1.0, 3.69, 10.0, 31.0, 42.0, 100.0, 1e3, 1e4]
ORDER = 31


def exact_log_normaliser(kappa):
    """log C(kappa) - log C(0) by the definition, with 50 digits."""
    with mpmath.workdps(50):
        k = mpmath.mpf(kappa)
        at_zero = ORDER * mpmath.log(2) + mpmath.log(mpmath.gamma(ORDER + 1))
        return float(ORDER * mpmath.log(k) - mpmath.log(mpmath.besseli(ORDER, k)) - at_zero)


def exact_mean_cosine(kappa):
    with mpmath.workdps(50):
        k = mpmath.mpf(kappa)
        return float(mpmath.besseli(ORDER + 1, k) / mpmath.besseli(ORDER, k))


@pytest.mark.parametrize("kappa", KAPPAS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 2e-8), (torch.float32, 2e-7)])
def test_the_normaliser_and_its_gradient(kappa, dtype, tolerance):
    kappa = float(torch.tensor(kappa, dtype=dtype))
    variable = torch.tensor(kappa, dtype=dtype, requires_grad=True)
    value = vmf.log_normaliser(variable)
    value.backward()
    assert value.dtype == dtype
    assert value.item() == pytest.approx(exact_log_normaliser(kappa), rel=tolerance)
    assert -variable.grad.item() == pytest.approx(exact_mean_cosine(kappa), rel=tolerance)


@pytest.mark.parametrize("kappa", [1.0, 1.5, *KAPPAS[4:], 1e6])
def test_scipy_is_exact_where_it_is_used(kappa):
    value = torch.tensor(kappa, dtype=torch.float64)
    assert vmf.log_normaliser(value).item() == pytest.approx(exact_log_normaliser(kappa), rel=4e-13)
    cosine = vmf.mean_resultant_length(value).item()
    assert cosine == pytest.approx(exact_mean_cosine(kappa), rel=4e-13)


def test_the_expansion_of_other_devices_and_small_values_agrees():
    kappa = torch.logspace(0, 6, 200, dtype=torch.float64)
    for by_expansion, found in (
        (vmf._log_normaliser_by_expansion(kappa), vmf.log_normaliser(kappa)),
        (vmf._ratio_by_expansion(kappa) * kappa, vmf.mean_resultant_length(kappa)),
    ):
        torch.testing.assert_close(found, by_expansion, rtol=2e-9, atol=0)
    assert torch.isfinite(vmf.log_normaliser(torch.tensor([1e10, 1e30]))).all()
    assert vmf.mean_resultant_length(torch.tensor([1e10, 1e30])).tolist() == [1.0, 1.0]
    tiny = torch.tensor([0.0, 1e-12, 0.5, 3.0], dtype=torch.float64)
    torch.testing.assert_close(
        vmf.log_normaliser(tiny)[:3], -(tiny**2)[:3] / 128, rtol=2e-4, atol=0
    )
    torch.testing.assert_close(
        vmf.mean_resultant_length(tiny)[:3], tiny[:3] / 64, rtol=2e-4, atol=0
    )


@pytest.mark.parametrize("kappa", KAPPAS)
def test_the_slope_of_the_mean_cosine(kappa):
    """A' = 1 - A^2 - 63 A / kappa, from Bessel's equation."""
    variable = torch.tensor(kappa, dtype=torch.float64, requires_grad=True)
    vmf.mean_resultant_length(variable).backward()
    with mpmath.workdps(50):
        k = mpmath.mpf(kappa)
        cosine = mpmath.besseli(ORDER + 1, k) / mpmath.besseli(ORDER, k)
        slope = float(1 - cosine**2 - 63 * cosine / k)
    assert variable.grad.item() == pytest.approx(slope, rel=2e-7)


def test_gradients_agree_with_finite_differences():
    kappa = torch.tensor([0.5, 3.69, 20.0, 42.0, 150.0], dtype=torch.float64, requires_grad=True)
    for function in (vmf.log_normaliser, vmf.mean_resultant_length, vmf.kl_to_uniform):
        assert gradcheck(function, kappa)
    assert gradgradcheck(vmf.log_normaliser, kappa)


@pytest.mark.parametrize("kappa", [1e-3, 5.0, 42.0, 1e4])
def test_scoring_uses_the_same_function(kappa):
    assert mean_cosine(np.array(kappa)) == pytest.approx(exact_mean_cosine(kappa), rel=1e-10)


def test_the_density_integrates_to_one():
    """Over the cosine t to the mean direction the area element is (1 - t^2)^((64 - 3) / 2)."""
    kappa = 42.0
    log_c = vmf.log_normaliser(torch.tensor(kappa, dtype=torch.float64)).item()
    element = lambda t: (1 - t * t) ** 30.5  # noqa: E731
    whole, _ = integrate.quad(element, -1, 1)
    mass, _ = integrate.quad(lambda t: np.exp(log_c + kappa * t) * element(t), -1, 1)
    assert mass / whole == pytest.approx(1.0, rel=1e-8)


def test_the_divergence_is_zero_for_the_uniform_distribution_and_grows():
    kappa = torch.tensor([1e-3, 1.0, 10.0, 100.0], dtype=torch.float64)
    divergence = vmf.kl_to_uniform(kappa)
    assert divergence[0].item() == pytest.approx(0.0, abs=1e-7)
    assert (divergence.diff() > 0).all()


def test_published_and_starting_concentrations():
    """Mean kappa 3.69 is nearly uniform; 42 is a mean cosine of about a half."""
    cosines = mean_cosine(np.array([3.69, 42.0]))
    assert cosines[0] == pytest.approx(0.0575, abs=5e-4)
    assert cosines[1] == pytest.approx(0.5, abs=0.01)
