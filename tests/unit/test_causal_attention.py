"""Attention in blocks against PyTorch's own."""

import pytest
import torch

from affectlab.models import causal_attention
from affectlab.models.causal_attention import blocked_causal_attention


def states(length, *, dtype, heads=6, key_heads=2, batch=2, size=8):
    generator = torch.Generator().manual_seed(length)
    return [
        torch.randn(batch, count, length, size, generator=generator).to(dtype).requires_grad_()
        for count in (heads, key_heads, key_heads)
    ]


def reference(query, key, value, *, scale):
    return torch.nn.functional.scaled_dot_product_attention(
        query, key, value, is_causal=True, scale=scale, enable_gqa=True
    )


def plain_operators(query, key, value, *, scale):
    """What transformers calls eager: scores and weights in the dtype of the states."""
    groups = query.shape[1] // key.shape[1]
    key, value = (tensor.repeat_interleave(groups, dim=1) for tensor in (key, value))
    future = torch.full((query.shape[2],) * 2, -torch.inf).triu(1).to(query.dtype)
    scores = query @ key.transpose(2, 3) * scale + future
    return scores.softmax(-1, dtype=torch.float32).to(query.dtype) @ value


def outcome(attend, inputs):
    copies = [tensor.detach().clone().requires_grad_() for tensor in inputs]
    attended = attend(*copies, scale=0.3)
    # Not a sum: each output has a gradient of its own.
    (attended.float() ** 2).sum().backward()
    return [attended.detach(), *(tensor.grad for tensor in copies)]


@pytest.mark.parametrize("length", [1, 255, 256, 257, 600])
def test_outputs_and_gradients_are_those_of_pytorch(length):
    inputs = states(length, dtype=torch.float32)
    for ours, theirs in zip(
        outcome(blocked_causal_attention, inputs), outcome(reference, inputs), strict=True
    ):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


def test_gradients_by_finite_differences(monkeypatch):
    monkeypatch.setattr(causal_attention, "BLOCK", 3)
    inputs = states(7, dtype=torch.float64, batch=1, heads=4, size=2)
    assert torch.autograd.gradcheck(
        lambda q, k, v: blocked_causal_attention(q, k, v, scale=0.5), inputs
    )


def test_bfloat16_costs_no_more_digits_than_plain_operators():
    inputs = states(300, dtype=torch.bfloat16)
    exact = outcome(reference, [tensor.detach().double() for tensor in inputs])

    def errors(attend):
        return [
            float((found.double() - true).norm() / true.norm())
            for found, true in zip(outcome(attend, inputs), exact, strict=True)
        ]

    for ours, theirs in zip(errors(blocked_causal_attention), errors(plain_operators), strict=True):
        assert ours < 1.5 * theirs


def test_the_future_is_not_seen():
    query, key, value = (tensor.detach() for tensor in states(300, dtype=torch.bfloat16))
    before = blocked_causal_attention(query, key, value, scale=0.3)
    key[:, :, 280:] += 5.0
    value[:, :, 280:] -= 5.0
    after = blocked_causal_attention(query, key, value, scale=0.3)
    assert torch.equal(before[:, :, :280], after[:, :, :280])
    assert not torch.equal(before[:, :, 280:], after[:, :, 280:])
