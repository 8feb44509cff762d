"""What the two models are trained on: the published loss, and one with a proper likelihood.

All functions take the targets of one batch: mu (m, 64) of unit length, kappa (m,), logits and soft
labels (m, K), unit prototypes (K, 64); they return one loss per target, (m,), in nats.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional

from affectlab.entity import vmf
from affectlab.entity.heads import Embedding
from affectlab.entity.settings import Gbert, Vmf

Loss = Callable[[Embedding, torch.Tensor], torch.Tensor]
"""From what the network gives for targets, and their soft labels, to one loss per target."""

PUBLISHED_ENERGY = 50.0
"""Scale between the published model's energy and its concentration, and between label and both."""

FAR = -1e4
"""A similarity that adds nothing to a sum of exponentials."""


def soft_cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """-sum_c y_c log softmax(logits)_c."""
    return -(labels * functional.log_softmax(logits, dim=-1)).sum(dim=-1)


def kl_divergence(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """sum_c y_c (log y_c - log softmax(logits)_c); labels need not sum to 1."""
    return torch.special.xlogy(labels, labels).sum(dim=-1) + soft_cross_entropy(logits, labels)


def vmf_negative_log_likelihood(
    mu: torch.Tensor, kappa: torch.Tensor, labels: torch.Tensor, prototypes: torch.Tensor
) -> torch.Tensor:
    """-sum_c y_c (log C(kappa) + kappa <mu, w_c>), the density taken against the uniform one."""
    expected_cosine = (labels * (mu @ prototypes.T)).sum(dim=-1)
    return -(labels.sum(dim=-1) * vmf.log_normaliser(kappa) + kappa * expected_cosine)


def sincere(mu: torch.Tensor, labels: torch.Tensor, temperature: float) -> torch.Tensor:
    """Supervised contrastive loss in the SINCERE form (Feeney and Hughes, arXiv 2309.14277).

    The classes are those of the largest label. For each pair of an anchor and a positive the
    denominator holds that positive and all negatives, but no other positive. An anchor without a
    positive in the batch gets 0, as does one without a negative.
    """
    classes = labels.argmax(dim=-1)
    similarity = mu @ mu.T / temperature
    same = classes[:, None] == classes[None, :]
    positive = same & ~torch.eye(len(mu), dtype=torch.bool, device=mu.device)
    # Not minus infinity: the gradient of an anchor without negatives would not exist.
    negatives = similarity.masked_fill(same, FAR).logsumexp(dim=-1, keepdim=True)
    pairs = torch.logaddexp(similarity, negatives) - similarity
    count = positive.sum(dim=-1)
    total = torch.where(positive, pairs, 0.0).sum(dim=-1)
    return total / count.clamp(min=1)


def class_weights(labels: torch.Tensor, cap: float) -> torch.Tensor:
    """Weights (K,) by the inverse of each class's share of *labels*, (n, K) that sum to 1.

    A class weighs at most *cap* times as much as the most frequent one. Scaled so that the targets
    of *labels* weigh 1 in the mean (see `weighted`), and learning rates mean what they meant.
    """
    mass = labels.sum(dim=0)
    weights = (mass.max() / mass).clamp(max=cap)
    return weights / (labels @ weights).mean()


def weighted(loss: Loss, weights: torch.Tensor) -> Loss:
    """*loss* times the mean weight of each target's classes."""

    def found(embedding: Embedding, labels: torch.Tensor) -> torch.Tensor:
        return loss(embedding, labels) * (labels @ weights.to(labels))

    return found


def published_loss(settings: Gbert, neutral: int | None) -> Loss:
    """The original's loss: KL to the prototypes, squared error of kappa, KL of the side head.

    Kappa is trained towards the strongest class other than *neutral*, its place; None: any class.
    """
    left_out = [] if neutral is None else [neutral]

    def loss(found: Embedding, labels: torch.Tensor) -> torch.Tensor:
        logits = found.kappa.detach()[:, None] * (found.mu @ found.prototypes.T)
        strongest = labels.index_fill(
            -1, torch.tensor(left_out, dtype=torch.int64, device=labels.device), 0.0
        )
        wanted = 1.0 + PUBLISHED_ENERGY * strongest.amax(dim=-1)
        return (
            kl_divergence(logits, labels)
            + settings.kappa_weight * (found.kappa - wanted) ** 2
            + settings.auxiliary_weight * kl_divergence(found.logits, labels)
        )

    return loss


def corrected_loss(settings: Vmf) -> Loss:
    """Soft cross-entropy, contrast, vMF likelihood, and a weak pull to the uniform distribution."""
    weights = settings.weights

    def loss(found: Embedding, labels: torch.Tensor) -> torch.Tensor:
        return (
            weights.cross_entropy * soft_cross_entropy(found.logits, labels)
            + weights.contrast * sincere(found.mu, labels, settings.temperature)
            + weights.likelihood
            * vmf_negative_log_likelihood(found.mu, found.kappa, labels, found.prototypes)
            + weights.uniform * vmf.kl_to_uniform(found.kappa)
        )

    return loss
