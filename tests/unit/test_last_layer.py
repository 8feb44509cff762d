"""A last layer for some tokens alone against the whole layer."""

import copy

import pytest
import torch
from torch import nn

from affectlab.models.last_layer import (
    classify_by_first_token,
    read_last_layer_at,
    shorten_last_layer,
)

SMALL = {
    "vocab_size": 50,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "num_labels": 3,
}


def classifier(family, **settings):
    import transformers

    torch.manual_seed(0)
    config = getattr(transformers, f"{family}Config")(**SMALL, **settings)
    config._attn_implementation = "eager"
    return getattr(transformers, f"{family}ForSequenceClassification")(config).eval()


def logits_and_gradients(model):
    ids = torch.arange(5, 29).reshape(3, 8)
    mask = torch.ones(3, 8, dtype=torch.int64)
    mask[1, 5:] = mask[2, 2:] = 0
    logits = model(input_ids=ids, attention_mask=mask).logits
    nn.functional.cross_entropy(logits, torch.tensor([0, 2, 1])).backward()
    return logits.detach(), {n: p.grad for n, p in model.named_parameters()}


@pytest.mark.parametrize("family", ["Bert", "Roberta", "MPNet"])
def test_the_last_layer_of_one_token_gives_the_same_logits_and_gradients(family):
    logits, gradients = logits_and_gradients(classifier(family))
    model = classifier(family)
    assert classify_by_first_token(model)
    same_logits, same_gradients = logits_and_gradients(model)
    torch.testing.assert_close(same_logits, logits)
    assert same_gradients.keys() == gradients.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(same_gradients[name], gradient, msg=name)
    outputs = model.base_model(input_ids=torch.ones(2, 7, dtype=torch.int64))
    assert outputs.last_hidden_state.shape == (2, 1, 32)


def test_a_classifier_by_the_last_token_is_left_alone():
    model = classifier("Qwen3", head_dim=8, num_key_value_heads=2, pad_token_id=0)
    assert not classify_by_first_token(model)


def states_and_gradients(model, positions, *, shortened):
    """States at *positions*, and the gradients of a function of them that treats each otherwise."""
    ids = torch.arange(5, 29).reshape(3, 8)
    mask = torch.ones(3, 8, dtype=torch.int64)
    mask[1, 5:] = mask[2, 4:] = 0
    states = model.base_model(input_ids=ids, attention_mask=mask).last_hidden_state
    if not shortened:
        states = torch.stack([row[places] for row, places in zip(states, positions, strict=True)])
    (states * torch.linspace(-1, 1, states.numel()).view_as(states)).sum().backward()
    return states.detach(), {n: p.grad for n, p in model.named_parameters()}


@pytest.mark.parametrize("family", ["Bert", "Roberta", "MPNet"])
def test_the_last_layer_of_some_tokens_gives_the_same_states_and_gradients(family):
    positions = torch.tensor([[1, 2, 7], [4, 0, 0], [3, 1, 2]])
    states, gradients = states_and_gradients(classifier(family), positions, shortened=False)
    model = classifier(family)
    assert shorten_last_layer(model)
    read_last_layer_at(model, positions)
    same_states, same_gradients = states_and_gradients(model, positions, shortened=True)
    torch.testing.assert_close(same_states, states)
    for name, gradient in gradients.items():
        torch.testing.assert_close(same_gradients[name], gradient, msg=name)
    read_last_layer_at(model, None)
    all_states = model.base_model(input_ids=torch.ones(2, 7, dtype=torch.int64)).last_hidden_state
    expected = classifier(family).base_model(input_ids=torch.ones(2, 7, dtype=torch.int64))
    torch.testing.assert_close(all_states, expected.last_hidden_state)


@pytest.mark.parametrize("family", ["Bert", "MPNet"])
def test_a_copy_of_a_shortened_model_has_weights_of_its_own(family):
    model = classifier(family)
    classify_by_first_token(model)
    logits, _ = logits_and_gradients(model)
    copied = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in model.base_model.encoder.layer[-1].parameters():
            parameter.zero_()
    assert torch.equal(logits_and_gradients(copied)[0], logits)
    assert not torch.equal(logits_and_gradients(model)[0], logits)


def test_dropout_of_attention_stays_where_the_last_layer_is_shortened():
    model = classifier("Bert", attention_probs_dropout_prob=0.5, hidden_dropout_prob=0.0).train()
    classify_by_first_token(model)
    assert not torch.equal(logits_and_gradients(model)[0], logits_and_gradients(model)[0])
    torch.manual_seed(1)
    whole = classifier("Bert", attention_probs_dropout_prob=0.0, hidden_dropout_prob=0.0).train()
    classify_by_first_token(whole)
    assert torch.equal(logits_and_gradients(whole)[0], logits_and_gradients(whole)[0])


def test_fused_attention_is_left_alone():
    model = classifier("Bert")
    model.config._attn_implementation = "sdpa"
    assert not shorten_last_layer(model)
