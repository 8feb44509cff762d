"""Linear weights in the order of their inputs against the plain order."""

import copy

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from affectlab.models.decoding_weights import order_weights_for_decoding


def test_a_network_with_ordered_weights_computes_the_same():
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=40,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=True,
    )
    plain = LlamaForCausalLM(config).eval()
    ordered = copy.deepcopy(plain)
    order_weights_for_decoding(ordered)
    layer = ordered.model.layers[0].mlp.up_proj
    assert not layer.weight.is_contiguous()
    assert ordered.get_input_embeddings().weight.is_contiguous()
    for name, weight in plain.state_dict().items():
        assert torch.equal(ordered.state_dict()[name], weight), name
    ids = torch.arange(12).reshape(2, 6)
    with torch.inference_mode():
        torch.testing.assert_close(ordered(ids).logits, plain(ids).logits)
