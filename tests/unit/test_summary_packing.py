"""Packed rows give each case exactly what it would get alone."""

from collections import Counter

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from affectlab.samples.summary_models import write_tiny_qwen2
from affectlab.summary.packing import (
    IGNORED,
    PACKED_ATTENTION,
    Example,
    labels_of,
    next_token_loss_sum,
    pack,
    packed_collator,
    padded_collator,
    target_tokens,
)

LENGTHS = (31, 12, 45, 7)
EXAMPLES = [
    Example(list(np.random.default_rng(n).integers(3, 900, n).tolist()), n // 2) for n in LENGTHS
]


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    path = tmp_path_factory.mktemp("qwen2")
    write_tiny_qwen2(path)
    return path


@pytest.fixture(scope="module")
def packed(directory):
    return AutoModelForCausalLM.from_pretrained(
        directory, attn_implementation=PACKED_ATTENTION
    ).eval()


@pytest.fixture(scope="module")
def plain(directory):
    return AutoModelForCausalLM.from_pretrained(directory, attn_implementation="eager").eval()


def test_packing_keeps_every_item_and_the_capacity():
    generator = np.random.default_rng(0)
    lengths = generator.integers(1, 60, 200).tolist()
    rows = pack(lengths, 64)
    assert Counter(item for row in rows for item in row) == Counter(range(200))
    assert all(sum(lengths[item] for item in row) <= 64 for row in rows)
    # No better than the sum allows, and first fit by falling length is within 11/9 of the best.
    assert sum(lengths) / 64 <= len(rows) <= 11 / 9 * np.ceil(sum(lengths) / 64) + 1
    assert pack([100, 3], 64) == [[0], [1]]


def test_a_packed_row_gives_the_states_of_each_case_alone(packed, plain):
    batch = packed_collator(EXAMPLES, [[0, 1, 2, 3]], answer_only=True)(np.array([0]))
    assert batch["input_ids"].shape == (1, sum(LENGTHS))
    with torch.inference_mode():
        together = packed.get_decoder()(
            input_ids=batch["input_ids"],
            position_ids=batch["position_ids"],
            bounds=batch["bounds"],
            use_cache=False,
        ).last_hidden_state[0]
        for example, start in zip(EXAMPLES, batch["bounds"], strict=False):
            alone = plain.get_decoder()(torch.tensor([example.ids])).last_hidden_state[0]
            part = together[start : start + len(example.ids)]
            torch.testing.assert_close(part, alone, atol=2e-5, rtol=1e-4)


def test_a_changed_neighbour_changes_nothing(packed):
    other = Example([5] * len(EXAMPLES[0].ids), EXAMPLES[0].prompt_length)
    found = []
    for first in (EXAMPLES[0], other):
        batch = packed_collator([first, EXAMPLES[2]], [[0, 1]], answer_only=True)(np.array([0]))
        batch["labels"][0, : len(first.ids)] = IGNORED
        with torch.inference_mode():
            found.append(next_token_loss_sum(packed, batch).item())
    assert found[0] == found[1]


@pytest.mark.parametrize("answer_only", [True, False])
def test_the_loss_is_the_sum_of_the_losses_of_each_case(packed, plain, answer_only):
    rows = pack(LENGTHS, 64)
    total = 0.0
    collate = packed_collator(EXAMPLES, rows, answer_only=answer_only)
    with torch.inference_mode():
        for row in range(len(rows)):
            total += next_token_loss_sum(packed, collate(np.array([row]))).item()
        # transformers' own loss, case by case.
        expected = 0.0
        for example in EXAMPLES:
            labels = torch.tensor([labels_of(example, answer_only=answer_only)])
            loss = plain(input_ids=torch.tensor([example.ids]), labels=labels).loss
            expected += loss.item() * target_tokens(example, answer_only=answer_only)
    assert total == pytest.approx(expected, rel=1e-5)


def test_padding_changes_no_loss(packed, plain):
    padded = padded_collator(EXAMPLES, pad_id=0, pad_to=64, answer_only=False)(np.arange(4))
    assert padded["input_ids"].shape == (4, 64)
    row = packed_collator(EXAMPLES, [[0, 1, 2, 3]], answer_only=False)(np.array([0]))
    with torch.inference_mode():
        assert next_token_loss_sum(plain, padded).item() == pytest.approx(
            next_token_loss_sum(packed, row).item(), rel=1e-5
        )


def test_gradients_are_those_of_plain_attention(directory):
    gradients = []
    for name in (PACKED_ATTENTION, "eager"):
        network = AutoModelForCausalLM.from_pretrained(directory, attn_implementation=name)
        if name == "eager":
            batch = padded_collator(EXAMPLES, pad_id=0, pad_to=64, answer_only=True)(np.arange(4))
        else:
            batch = packed_collator(EXAMPLES, [[0, 1, 2, 3]], answer_only=True)(np.array([0]))
        next_token_loss_sum(network, batch).backward()
        gradients.append(network.get_decoder().layers[0].self_attn.q_proj.weight.grad)
    torch.testing.assert_close(*gradients, atol=1e-4, rtol=1e-3)
    assert gradients[0].abs().max() > 0


def test_bfloat16_learns_the_same_as_plain_float32(directory):
    """On a CPU, bfloat16 takes another attention (`models.causal_attention`)."""
    losses, gradients = [], []
    for dtype, name in ((torch.bfloat16, PACKED_ATTENTION), (torch.float32, "eager")):
        network = AutoModelForCausalLM.from_pretrained(
            directory, attn_implementation=name, dtype=dtype
        )
        if name == "eager":
            batch = padded_collator(EXAMPLES, pad_id=0, pad_to=64, answer_only=True)(np.arange(4))
        else:
            batch = packed_collator(EXAMPLES, [[0, 1, 2, 3]], answer_only=True)(np.array([0]))
        loss = next_token_loss_sum(network, batch)
        loss.backward()
        losses.append(loss.item())
        attention = network.get_decoder().layers[0].self_attn
        gradients.append(
            [getattr(attention, f"{part}_proj").weight.grad.float() for part in "qkvo"]
        )
    assert losses[0] == pytest.approx(losses[1], rel=5e-3)
    for ours, theirs in zip(*gradients, strict=True):
        assert float((ours - theirs).norm() / theirs.norm()) < 0.03


def test_labels_by_hand():
    example = Example([7, 8, 9, 10, 11], 3)
    assert labels_of(example, answer_only=True) == [IGNORED] * 3 + [10, 11]
    assert labels_of(example, answer_only=False) == [IGNORED, 8, 9, 10, 11]
    assert target_tokens(example, answer_only=True) == 2
