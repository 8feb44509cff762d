"""Windows, soft-capping and sinks: packed rows and stored states against transformers itself."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    Gemma3TextConfig,
    GptOssConfig,
    GraniteConfig,
    Llama4TextConfig,
    MambaConfig,
    MistralConfig,
    Phi3Config,
    Qwen2Config,
    Qwen2MoeConfig,
)

from affectlab.errors import UserError
from affectlab.models import causal_attention
from affectlab.summary.attention import check_attention, check_training
from affectlab.summary.packing import (
    PACKED_ATTENTION,
    Example,
    answers_collator,
    labels_of,
    next_token_loss_sum,
    packed_collator,
    target_tokens,
)
from affectlab.summary.prompt_cache import read_prompts
from affectlab.summary.states import ANSWER_ATTENTION, ROW_ATTENTION, PromptStore

CPU = torch.device("cpu")
WINDOW = 8
SIZES = {
    "vocab_size": 200,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 256,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    # Sharp attention: what a token sees must matter.
    "initializer_range": 0.4,
}
FAMILIES = {
    "mistral": MistralConfig(**SIZES, sliding_window=WINDOW),
    "phi3": Phi3Config(**SIZES, sliding_window=WINDOW),
    "gemma2": Gemma2Config(
        **SIZES,
        sliding_window=WINDOW,
        query_pre_attn_scalar=5,
        attn_logit_softcapping=2.0,
        final_logit_softcapping=3.0,
    ),
    "gemma3": Gemma3TextConfig(
        **SIZES, sliding_window=WINDOW, query_pre_attn_scalar=5, sliding_window_pattern=2
    ),
    "qwen2": Qwen2Config(
        **SIZES, use_sliding_window=True, sliding_window=WINDOW, max_window_layers=1
    ),
    "gpt_oss": GptOssConfig(
        **SIZES, sliding_window=WINDOW, num_local_experts=2, num_experts_per_tok=1
    ),
}
LENGTHS = (31, 12, 45, 5)
EXAMPLES = [Example(np.random.default_rng(n).integers(3, 200, n).tolist(), n // 2) for n in LENGTHS]


def network_of(config, attention, seed=0):
    torch.manual_seed(seed)
    # A network changes the configuration that it is given.
    own = copy.deepcopy(config)
    network = AutoModelForCausalLM.from_config(own, attn_implementation="eager").float()
    for name, parameter in network.named_parameters():
        if name.endswith("sinks"):
            torch.nn.init.normal_(parameter)
    network.set_attn_implementation(attention)
    return network.eval()


def expected_loss(network, examples, *, answer_only):
    """transformers' own loss with its plain attention, case by case."""
    total = torch.zeros(())
    for one in examples:
        labels = torch.tensor([labels_of(one, answer_only=answer_only)])
        loss = network(input_ids=torch.tensor([one.ids]), labels=labels).loss
        total = total + loss * target_tokens(one, answer_only=answer_only)
    return total


@pytest.fixture(params=FAMILIES)
def config(request):
    return FAMILIES[request.param]


@pytest.mark.parametrize("block", [4, 256])
def test_a_packed_row_has_the_loss_and_gradients_of_its_cases(config, block, monkeypatch):
    monkeypatch.setattr(causal_attention, "BLOCK", block)
    batch = packed_collator(EXAMPLES, [[0, 1, 2, 3]], answer_only=False)(np.array([0]))
    packed, plain = network_of(config, PACKED_ATTENTION), network_of(config, "eager")
    loss, wanted = (
        next_token_loss_sum(packed, batch),
        expected_loss(plain, EXAMPLES, answer_only=False),
    )
    assert loss.item() == pytest.approx(wanted.item(), rel=1e-6, abs=1e-4)
    loss.backward()
    wanted.backward()
    pairs = zip(packed.named_parameters(), plain.named_parameters(), strict=True)
    for (name, ours), (_, theirs) in pairs:
        if theirs.grad is not None and theirs.grad.norm() > 1e-3:
            difference = (ours.grad - theirs.grad).norm() / theirs.grad.norm()
            assert difference < 1e-3, name


def test_answers_over_stored_states_have_the_loss_of_whole_cases(config, tmp_path):
    opening = 2
    network = network_of(config, ROW_ATTENTION)
    store = PromptStore(tmp_path)
    store.fill(network, [one.ids[: one.prompt_length - opening] for one in EXAMPLES[:3]], CPU)
    network.set_attn_implementation(ANSWER_ATTENTION)
    collate = answers_collator(EXAMPLES, [[0, 1, 2]], opening=opening, states_of=store.get)
    with torch.inference_mode():
        loss = next_token_loss_sum(network, collate(np.array([0])))
        wanted = expected_loss(network_of(config, "eager"), EXAMPLES[:3], answer_only=True)
    assert loss.item() == pytest.approx(wanted.item(), rel=1e-6, abs=1e-4)


@pytest.mark.parametrize("rest", [1, 3])
def test_logits_after_stored_states_are_those_of_whole_texts(config, rest):
    """A batch of prompts that were read alone, then *rest* tokens, then one at a time."""
    network = network_of(config, ROW_ATTENTION)
    texts = [one.ids for one in EXAMPLES[:3]]
    last = 4
    read = [ids[: -rest - last] for ids in texts]
    cache = read_prompts(network, read, CPU, room=rest + last)
    longest = max(map(len, texts))
    mask = torch.tensor([[0] * (longest - len(ids)) + [1] * len(ids) for ids in texts])
    found = []
    done = longest - rest - last
    with torch.inference_mode():
        for step in (rest, *[1] * last):
            part = slice(done, done + step)
            rows = [[0] * (longest - len(ids)) + ids for ids in texts]
            positions = (mask.cumsum(1) - 1).clamp(min=0)[:, part]
            found.append(
                network(
                    input_ids=torch.tensor(rows)[:, part],
                    attention_mask=mask[:, : done + step],
                    position_ids=positions,
                    past_key_values=cache,
                ).logits
            )
            done += step
        plain = network_of(config, "eager")
        wanted = [plain(torch.tensor([ids])).logits[0, -rest - last :] for ids in texts]
    torch.testing.assert_close(torch.cat(found, dim=1), torch.stack(wanted), atol=1e-4, rtol=1e-4)


def test_supported_models_pass_the_checks(config):
    network = network_of(config, "eager")
    check_attention(network)
    check_training(network, packed=True, longest=200)
    assert network.config._attn_implementation == "eager"


SMALL_MOE = {"num_experts": 2, "num_experts_per_tok": 1, "moe_intermediate_size": 16}


@pytest.mark.parametrize(
    ("config", "key"),
    [
        (Llama4TextConfig(**SIZES, attention_chunk_size=8, num_local_experts=1), "layer_types"),
        (MambaConfig(vocab_size=200, hidden_size=32, num_hidden_layers=2), "mamba"),
        # transformers masks by the window and does not hand it to the attention.
        (
            Qwen2MoeConfig(
                **SIZES,
                **SMALL_MOE,
                shared_expert_intermediate_size=16,
                use_sliding_window=True,
                sliding_window=WINDOW,
                layer_types=["sliding_attention"] * 2,
            ),
            "sliding_window",
        ),
    ],
    ids=["llama4", "mamba", "qwen2_moe"],
)
def test_other_attention_is_refused_with_its_key(config, key):
    torch.manual_seed(0)
    network = AutoModelForCausalLM.from_config(config).float().eval()
    with pytest.raises(UserError, match=key):
        check_attention(network)


def test_unknown_logits_and_moving_positions_are_refused():
    scaled = GraniteConfig(**{**SIZES, "initializer_range": 0.1}, logits_scaling=4.0)
    with pytest.raises(UserError, match=r"logits_scaling: 4\.0"):
        check_training(network_of(scaled, "eager"), packed=False, longest=200)
    factors = {
        "rope_type": "longrope",
        "rope_theta": 10_000.0,
        "short_factor": [1.0] * 4,
        "long_factor": [2.0] * 4,
        "original_max_position_embeddings": 64,
        "factor": 4.0,
    }
    moving = Phi3Config(**SIZES, original_max_position_embeddings=64, rope_parameters=factors)
    check_training(network_of(moving, "eager"), packed=True, longest=64)
    check_training(network_of(moving, "eager"), packed=False, longest=65)
    with pytest.raises(UserError, match="longrope"):
        check_training(network_of(moving, "eager"), packed=True, longest=65)


@pytest.mark.parametrize("attention", [PACKED_ATTENTION, ROW_ATTENTION])
def test_an_unknown_argument_of_an_attention_is_refused(attention):
    from transformers import AttentionInterface

    states = torch.ones(1, 2, 3, 4)
    settings = {"bounds": torch.tensor([0, 3])} if attention == PACKED_ATTENTION else {}
    attend = AttentionInterface()[attention]
    attend(None, states, states, states, None, scaling=1.0, **settings)
    with pytest.raises(UserError, match="position_bias"):
        attend(None, states, states, states, None, scaling=1.0, position_bias=1.0, **settings)
    with pytest.raises(UserError, match="is_causal"):
        attend(None, states, states, states, None, scaling=1.0, is_causal=False, **settings)
