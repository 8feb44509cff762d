"""Classifiers with windows and soft-capping: batches give what each text gives alone."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from test_summary_attention import FAMILIES, SIZES
from transformers import AutoModelForSequenceClassification, BertConfig, ModernBertConfig

from affectlab.emotion.data import CLASSES
from affectlab.emotion.model import predict_logits
from affectlab.models.last_layer import classify_by_first_token

ENCODER = {name: value for name, value in SIZES.items() if name != "num_key_value_heads"}
CONFIGURATIONS = {
    **{name: FAMILIES[name] for name in ("mistral", "gemma2", "gemma3", "qwen2", "phi3")},
    "modernbert": ModernBertConfig(
        **{name: value for name, value in ENCODER.items() if name != "head_dim"},
        local_attention=8,
        global_attn_every_n_layers=2,
        cls_token_id=1,
        sep_token_id=2,
    ),
}


def network_of(config):
    torch.manual_seed(0)
    own = copy.deepcopy(config)
    own.num_labels = len(CLASSES)
    own.pad_token_id = 0
    return AutoModelForSequenceClassification.from_config(own, attn_implementation="eager").eval()


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_logits_of_a_batch_are_those_of_each_text(name):
    network = network_of(CONFIGURATIONS[name])
    texts = [np.random.default_rng(n).integers(3, 200, n).tolist() for n in (40, 23, 5)]
    with torch.inference_mode():
        alone = [network(input_ids=torch.tensor([ids])).logits[0].numpy() for ids in texts]
    classify_by_first_token(network)
    found = predict_logits(
        network,
        texts,
        pad_id=0,
        batch_size=3,
        dtype=torch.float32,
        device=torch.device("cpu"),
    )
    np.testing.assert_allclose(found, np.stack(alone), rtol=1e-4, atol=1e-4)


def test_a_decoder_is_not_shortened():
    sizes = {name: value for name, value in ENCODER.items() if name != "head_dim"}
    plain, causal = (network_of(BertConfig(**sizes, is_decoder=flag)) for flag in (False, True))
    assert classify_by_first_token(plain)
    assert not classify_by_first_token(causal)
