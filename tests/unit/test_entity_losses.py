"""Losses of the entity experiment against plain loops and distributions computed another way."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import entropy

from affectlab.entity import losses
from affectlab.entity.labels import CLASSES, NEUTRAL
from affectlab.entity.model import Embedding
from affectlab.entity.settings import Gbert, Vmf, Weights

GENERATOR = torch.Generator().manual_seed(0)


def unit(*shape):
    return torch.nn.functional.normalize(
        torch.randn(*shape, generator=GENERATOR, dtype=torch.float64), dim=-1
    )


def soft(count):
    labels = torch.rand(count, len(CLASSES), generator=GENERATOR, dtype=torch.float64)
    return labels / labels.sum(dim=-1, keepdim=True)


def hard(classes):
    return torch.eye(len(CLASSES), dtype=torch.float64)[classes]


def test_divergences_agree_with_scipy():
    logits, labels = torch.randn(5, 28, generator=GENERATOR, dtype=torch.float64), soft(5)
    predicted = logits.softmax(dim=-1)
    found = losses.kl_divergence(logits, labels)
    expected = [entropy(y.numpy(), p.numpy()) for y, p in zip(labels, predicted, strict=True)]
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-10)


def test_the_divergence_from_labels_with_zeros_has_a_gradient():
    logits = torch.randn(2, 28, generator=GENERATOR, dtype=torch.float64, requires_grad=True)
    losses.kl_divergence(logits, hard([0, NEUTRAL])).sum().backward()
    assert torch.isfinite(logits.grad).all()


def test_sincere_agrees_with_plain_loops():
    mu, classes, temperature = unit(7, 64), [0, 0, 0, 1, 1, 2, 2], 0.2
    found = losses.sincere(mu, hard(classes), temperature)
    similarity = (mu @ mu.T / temperature).tolist()
    for anchor, own in enumerate(classes):
        positives = [j for j, c in enumerate(classes) if c == own and j != anchor]
        negatives = sum(math.exp(similarity[anchor][j]) for j, c in enumerate(classes) if c != own)
        expected = -sum(
            math.log(
                math.exp(similarity[anchor][j]) / (math.exp(similarity[anchor][j]) + negatives)
            )
            for j in positives
        ) / len(positives)
        assert found[anchor].item() == pytest.approx(expected, rel=1e-9)


def test_sincere_is_zero_without_positives_or_negatives_and_has_a_gradient():
    for classes in ([3], [0, 1, 2], [5, 5]):
        mu = unit(len(classes), 64).requires_grad_()
        found = losses.sincere(mu, hard(classes), 0.1)
        found.sum().backward()
        assert found.detach().abs().max().item() == pytest.approx(0.0, abs=1e-12)
        assert torch.isfinite(mu.grad).all()


def test_the_likelihood_is_least_where_the_concentration_foretells_the_cosine():
    """d/dkappa of the loss is A(kappa) - cosine: zero where both agree."""
    mu, prototypes = unit(1, 64), unit(28, 64)
    labels = soft(1)
    cosine = (labels * (mu @ prototypes.T)).sum().abs().item()
    mu = mu * torch.sign((labels * (mu @ prototypes.T)).sum())
    kappas = torch.linspace(0.5, 40, 4000, dtype=torch.float64)
    loss = losses.vmf_negative_log_likelihood(
        mu.expand(4000, 64), kappas, labels.expand(4000, 28), prototypes
    )
    from affectlab.entity.embedding_scores import mean_cosine

    best = kappas[loss.argmin()].numpy()
    assert mean_cosine(best) == pytest.approx(cosine, abs=2e-4)


def published(mu, kappa, logits, prototypes, label):
    """The original's loss of one target, term by term."""
    scores = kappa * (prototypes @ mu)
    log_p = scores - torch.logsumexp(scores, 0)
    log_q = logits - torch.logsumexp(logits, 0)
    kl = sum(y * (math.log(y) - p) for y, p in zip(label, log_p.tolist(), strict=True) if y > 0)
    side = sum(y * (math.log(y) - q) for y, q in zip(label, log_q.tolist(), strict=True) if y > 0)
    strongest = max(value for place, value in enumerate(label) if place != NEUTRAL)
    return kl + 0.1 * (kappa - (1 + 50 * strongest)) ** 2 + 0.05 * side


def test_the_published_loss_term_by_term():
    mu, prototypes, labels = unit(3, 64), unit(28, 64), soft(3) * 1.7
    kappa = torch.tensor([3.69, 12.0, 40.0], dtype=torch.float64)
    logits = torch.randn(3, 28, generator=GENERATOR, dtype=torch.float64)
    loss = losses.published_loss(Gbert(kappa_weight=0.1, auxiliary_weight=0.05), NEUTRAL)
    found = loss(Embedding(mu, kappa, logits, prototypes), labels)
    for place in range(3):
        expected = published(
            mu[place], kappa[place].item(), logits[place], prototypes, labels[place].tolist()
        )
        assert found[place].item() == pytest.approx(expected, rel=1e-9)


def test_the_published_loss_stops_the_gradient_of_kappa_in_the_first_term():
    kappa = torch.tensor([7.0], dtype=torch.float64, requires_grad=True)
    mu, prototypes, labels = unit(1, 64), unit(28, 64), soft(1)
    loss = losses.published_loss(Gbert(kappa_weight=0.0, auxiliary_weight=0.0), NEUTRAL)
    loss(Embedding(mu, kappa, torch.zeros(1, 28), prototypes), labels).sum().backward()
    assert kappa.grad.item() == 0.0


def test_the_weights_of_the_corrected_loss_switch_its_parts():
    found = Embedding(
        unit(4, 64),
        torch.tensor([5.0, 20.0, 42.0, 80.0], dtype=torch.float64),
        torch.randn(4, 28, generator=GENERATOR, dtype=torch.float64),
        unit(28, 64),
    )
    labels = hard([0, 0, 1, NEUTRAL])
    off = dict.fromkeys(("cross_entropy", "contrast", "likelihood", "uniform"), 0.0)

    def loss(**weights):
        settings = Vmf(temperature=0.1, weights=Weights(**(off | weights)))
        return losses.corrected_loss(settings)(found, labels)

    parts = [loss(**{name: 1.0}) for name in off]
    np.testing.assert_allclose(parts[0], losses.soft_cross_entropy(found.logits, labels))
    np.testing.assert_allclose(loss(**dict.fromkeys(off, 1.0)), sum(parts), rtol=1e-12)


def test_class_weights_by_hand():
    # Label mass 4, 1, 0.5 of the classes 0 to 2; the others do not occur.
    labels = torch.cat([hard([0, 0, 0, 0]), hard([1]), 0.5 * hard([2]) + 0.5 * hard([0])])
    labels[-1] /= labels[-1].sum()
    mass = {0: 4.5, 1: 1.0, 2: 0.5}
    found = losses.class_weights(labels, 5.0)
    raw = {0: 1.0, 1: 4.5 / mass[1], 2: 5.0}
    mean = (4 * raw[0] + raw[1] + (raw[0] + raw[2]) / 2) / 6
    for place in range(28):
        assert found[place].item() == pytest.approx(raw.get(place, 5.0) / mean, rel=1e-12)
    assert (labels @ found).mean().item() == pytest.approx(1.0, rel=1e-12)


def test_the_weighted_loss_by_hand():
    logits = torch.randn(3, 28, generator=GENERATOR, dtype=torch.float64)
    found = Embedding(unit(3, 64), torch.ones(3, dtype=torch.float64), logits, unit(28, 64))
    labels = hard([NEUTRAL, 3, NEUTRAL])
    labels[2, 3], labels[2, NEUTRAL] = 0.25, 0.75
    weights = torch.full((28,), 9.0, dtype=torch.float64)
    weights[NEUTRAL], weights[3] = 0.5, 2.5
    parts = Weights(cross_entropy=1.0, contrast=0.0, likelihood=0.0, uniform=0.0)
    settings = Vmf(temperature=0.1, weights=parts)
    loss = losses.weighted(losses.corrected_loss(settings), weights)(found, labels)
    logs = [
        [value - math.log(sum(math.exp(other) for other in row)) for value in row]
        for row in logits.tolist()
    ]
    expected = [
        -0.5 * logs[0][NEUTRAL],
        -2.5 * logs[1][3],
        -(0.75 * 0.5 + 0.25 * 2.5) * (0.25 * logs[2][3] + 0.75 * logs[2][NEUTRAL]),
    ]
    np.testing.assert_allclose(loss.numpy(), expected, rtol=1e-10)
