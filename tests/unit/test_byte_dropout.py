"""Dropout from random bytes against PyTorch's."""

import math

import torch
from torch import nn

from affectlab.models.byte_dropout import ByteDropout, use_byte_dropout


def test_kept_elements_are_those_of_plain_dropout_at_the_same_rate():
    """Where both keep an element it has the same value and gradient."""
    torch.manual_seed(0)
    dropout, plain = ByteDropout(0.25), nn.Dropout(0.25)
    assert dropout.p == plain.p
    inputs = torch.randn(64, 33)
    outcomes = []
    for module in (dropout, plain):
        own = inputs.clone().requires_grad_()
        outputs = module(own)
        (outputs**2).sum().backward()
        outcomes.append((outputs.detach(), own.grad))
    (ours, our_gradient), (theirs, their_gradient) = outcomes
    both = (ours != 0) & (theirs != 0)
    assert both.float().mean() > 0.5
    torch.testing.assert_close(ours[both], theirs[both])
    torch.testing.assert_close(our_gradient[both], their_gradient[both])


def test_byte_dropout_keeps_the_expectation_and_the_rate():
    torch.manual_seed(0)
    dropout = ByteDropout(0.1)
    inputs = torch.ones(1_000_003)
    outputs = dropout(inputs)
    kept = 1 - dropout.p
    # Five standard errors of a binomial proportion.
    tolerance = 5 * math.sqrt(kept * (1 - kept) / len(inputs))
    assert abs((outputs != 0).double().mean().item() - kept) < tolerance
    assert abs(outputs.double().mean().item() - 1.0) < tolerance / kept
    assert abs(dropout.p - 0.1) <= 1 / 512


def test_byte_dropout_drops_neighbours_independently():
    torch.manual_seed(0)
    dropped = (ByteDropout(0.5)(torch.ones(1 << 20)) == 0).double() - 0.5
    for lag in (1, 2, 7, 8, 16):
        correlation = (dropped[:-lag] * dropped[lag:]).mean().item() / 0.25
        assert abs(correlation) < 5 / math.sqrt(len(dropped))


def test_byte_dropout_follows_the_seed_and_the_mask_of_the_forward_pass():
    dropout = ByteDropout(0.3)
    inputs = torch.randn(5, 33, requires_grad=True)
    torch.manual_seed(3)
    first = dropout(inputs)
    torch.manual_seed(3)
    assert torch.equal(first, dropout(inputs))
    first.sum().backward()
    assert torch.equal(inputs.grad != 0, first != 0)


def test_byte_dropout_is_the_identity_in_eval_mode_and_at_rate_zero():
    inputs = torch.randn(4, 4)
    assert ByteDropout(0.5).eval()(inputs) is inputs
    assert ByteDropout(0.0)(inputs) is inputs


def test_every_dropout_of_a_network_is_replaced():
    network = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.2), nn.Sequential(nn.Dropout(0.4)))
    assert use_byte_dropout(network) == 2
    assert [type(m) for m in network.modules() if "Dropout" in type(m).__name__] == [
        ByteDropout,
        ByteDropout,
    ]
