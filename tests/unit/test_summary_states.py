"""States of prompts: what is read once is what would be read again, by the word of other code."""

import json

import numpy as np
import pytest
import torch
from blocks import changed
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

from affectlab.config.models import Lora
from affectlab.errors import UserError
from affectlab.files.io import read_json
from affectlab.models.chat import stop_ids
from affectlab.models.text_models import add_lora
from affectlab.samples.summary_models import write_tiny_qwen2
from affectlab.summary import model as networks
from affectlab.summary.generator import Generator, load_generator
from affectlab.summary.packing import (
    IGNORED,
    Example,
    answers_collator,
    next_token_loss_sum,
    pack,
)
from affectlab.summary.prompt_cache import read_prompts
from affectlab.summary.settings import Generation
from affectlab.summary.states import (
    ANSWER_ATTENTION,
    ROW_ATTENTION,
    PromptStore,
    read_prompt,
    row_attention,
)

CPU = torch.device("cpu")
LORA = Lora(
    rank=4,
    alpha=8,
    dropout=0.0,
    target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "up_proj", "down_proj"],
)
SETTINGS = Generation(repetition_penalty=1.3, precision="fp32")
QUESTIONS = ["Who?", "What did the client say of the week before, and why?", "When was it?"]
ANSWERS = [" Nobody at all.", " Much.", " On the third day."]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    path = tmp_path_factory.mktemp("model")
    write_tiny_qwen2(path)
    return path


@pytest.fixture(scope="module")
def tokenizer(base):
    return networks.load_tokenizer(base)


def load(base):
    return networks.load_network(base, dtype=torch.float32, device=CPU, four_bit=False).eval()


def chat(tokenizer, question):
    turn = [{"role": "user", "content": question}]
    encoded = tokenizer.apply_chat_template(turn, add_generation_prompt=True, return_dict=True)
    return list(encoded["input_ids"])


def examples_of(tokenizer):
    prompts = [chat(tokenizer, question) for question in QUESTIONS]
    answers = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in ANSWERS]
    return [
        Example(prompt + answer, len(prompt))
        for prompt, answer in zip(prompts, answers, strict=True)
    ]


def shake(network):
    """Give the adapters weights that do something; LoRA starts at zero."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.requires_grad:
                parameter.copy_(0.2 * torch.randn(parameter.shape, generator=generator))


@pytest.fixture(scope="module")
def adapter(base, tokenizer, tmp_path_factory):
    """A stored adapter that acts on answers alone."""
    network = add_lora(load(base), LORA, task="CAUSAL_LM")
    shake(network)
    networks.limit_to_answers(network, networks.answer_opening(tokenizer))
    path = tmp_path_factory.mktemp("adapter")
    network.save_pretrained(path)
    return path


def by_transformers(network, tokenizer, prompts, tokens, *, do_sample=False, **options):
    """Answers of a batch that is padded on the left, as transformers itself would give them."""
    tokenizer.padding_side = "left"
    batch = tokenizer.pad({"input_ids": prompts}, return_tensors="pt")
    with torch.inference_mode():
        output = network.generate(
            **batch,
            max_new_tokens=tokens,
            do_sample=do_sample,
            pad_token_id=tokenizer.pad_token_id,
            **options,
        )
    rows = output[:, batch["input_ids"].shape[1] :].tolist()
    ends = {tokenizer.pad_token_id, *stop_ids(tokenizer, network)}
    return [row[: next((i for i, t in enumerate(row) if t in ends), len(row))] for row in rows]


def test_prompts_read_alone_are_answered_as_a_padded_batch(base, tokenizer):
    prompts = [chat(tokenizer, question) for question in QUESTIONS]
    # A penalty on what occurred sees the whole prompt, not the part that is left to read.
    generator = Generator(load(base), tokenizer, CPU, SETTINGS)
    ours = generator.answer(prompts, max_tokens=12, seed=0)
    theirs = by_transformers(load(base), tokenizer, prompts, 12, repetition_penalty=1.3)
    assert ours == theirs
    assert any(ours)


@pytest.mark.parametrize("change", [{"temperature": 0.2}, {"top_p": 0.3}, {"top_k": 3}], ids=str)
def test_answers_are_drawn_as_transformers_draws_them(base, tokenizer, change):
    prompts = [chat(tokenizer, QUESTIONS[1])]
    plain = changed(SETTINGS, sample=True, top_k=len(tokenizer))
    settings = changed(plain, **change)
    generator = Generator(load(base), tokenizer, CPU, settings)
    ours = generator.answer(prompts, max_tokens=12, seed=7)
    torch.manual_seed(7)
    names = {"temperature", "top_p", "top_k", "repetition_penalty"}
    options = settings.model_dump(include=names)
    assert ours == by_transformers(load(base), tokenizer, prompts, 12, do_sample=True, **options)
    assert ours == generator.answer(prompts, max_tokens=12, seed=7)
    assert ours != generator.answer(prompts, max_tokens=12, seed=8)
    unchanged = Generator(load(base), tokenizer, CPU, plain)
    assert ours != unchanged.answer(prompts, max_tokens=12, seed=7)


def test_states_are_those_of_one_pass_over_everything(base, tokenizer):
    network = load(base)
    ids = chat(tokenizer, QUESTIONS[1])
    with torch.inference_mode():
        whole = network(torch.tensor([ids])).logits[0, -4:]
        cache = read_prompts(network, [ids[:-4]], CPU, room=4)
        rest = network(torch.tensor([ids[-4:]]), past_key_values=cache).logits[0]
    torch.testing.assert_close(rest, whole)


def test_a_batch_takes_its_memory_once(base, tokenizer):
    network = load(base)
    prompts = [chat(tokenizer, question)[:-1] for question in QUESTIONS]
    cache = read_prompts(network, prompts, CPU, room=2)
    longest = max(map(len, prompts))
    layer = cache.layers[0]
    memory = layer.keys.data_ptr()
    shape = (len(prompts), *layer.keys.shape[1:2], 2, layer.keys.shape[3])
    keys, values = layer.update(torch.ones(shape), torch.ones(shape))
    assert keys.data_ptr() == memory
    assert cache.get_seq_length() == keys.shape[2] == values.shape[2] == longest + 2
    shortest = min(range(len(prompts)), key=lambda i: len(prompts[i]))
    before = longest - len(prompts[shortest])
    assert before > 0
    assert not keys[shortest, :, :before].any()
    assert keys[shortest, :, before:].any(dim=-1).all()
    with pytest.raises(RuntimeError):
        layer.update(torch.ones(shape), torch.ones(shape))


@pytest.mark.parametrize("window", [None, 5])
@pytest.mark.parametrize("padding", [(0, 3, 9), (0, 0, 0)])
@pytest.mark.parametrize("threads", [1, 4, 16])
def test_rows_attend_to_what_is_theirs(padding, window, threads, monkeypatch):
    monkeypatch.setattr("torch.get_num_threads", lambda: threads)
    draw = torch.Generator().manual_seed(1)
    query, key, value = (
        torch.randn(3, heads, length, 8, generator=draw)
        for heads, length in ((4, 1), (2, 12), (2, 12))
    )
    mask = torch.arange(12) >= torch.tensor(padding)[:, None] if any(padding) else None
    found, _ = row_attention(None, query, key, value, mask, sliding_window=window)
    assert found.shape == (3, 1, 4, 8)
    for row, before in enumerate(padding):
        first = max(before, 12 - window) if window else before
        for head in range(4):
            keys, values = (
                t[row, head // 2, first:].numpy().astype(np.float64) for t in (key, value)
            )
            weights = np.exp(keys @ query[row, head, 0].numpy() / np.sqrt(8))
            np.testing.assert_allclose(
                found[row, 0, head], weights @ values / weights.sum(), rtol=1e-5, atol=1e-6
            )


@pytest.mark.parametrize("settings", [{}, {"sliding_window": 6, "use_sliding_window": True}])
def test_answers_are_the_same_row_by_row(base, tokenizer, settings):
    prompts = [chat(tokenizer, question) for question in QUESTIONS]
    answers = []
    for attention in ("sdpa", ROW_ATTENTION):
        network = AutoModelForCausalLM.from_pretrained(
            base, attn_implementation=attention, max_window_layers=0, **settings
        ).eval()
        generator = Generator(network, tokenizer, CPU, SETTINGS)
        answers.append(generator.answer(prompts, max_tokens=12, seed=0))
    assert answers[0] == answers[1]
    assert any(answers[0])


def answer_batch(base, tokenizer, directory, examples):
    """The batch of `answers_collator` with all examples in one row, and the network for it."""
    opening = len(networks.answer_opening(tokenizer))
    network = load(base)
    store = PromptStore(directory)
    store.fill(network, [one.ids[: one.prompt_length - opening] for one in examples], CPU)
    network.set_attn_implementation(ANSWER_ATTENTION)
    rows = pack([len(one.ids) for one in examples], 10_000)
    assert len(rows) == 1
    collate = answers_collator(examples, rows, opening=opening, states_of=store.get)
    return add_lora(network, LORA, task="CAUSAL_LM"), collate(np.array([0]))


def test_loss_and_gradients_are_those_of_peft_over_whole_cases(base, tokenizer, tmp_path):
    examples = examples_of(tokenizer)
    ours, batch = answer_batch(base, tokenizer, tmp_path, examples)
    shake(ours)
    loss = next_token_loss_sum(ours, batch)
    loss.backward()

    theirs = get_peft_model(
        load(base),
        LoraConfig(
            task_type="CAUSAL_LM",
            r=LORA.rank,
            lora_alpha=LORA.alpha,
            target_modules=LORA.target_modules,
            alora_invocation_tokens=networks.answer_opening(tokenizer),
        ),
    )
    shake(theirs)
    expected = torch.zeros(())
    for one in examples:
        labels = [IGNORED] * one.prompt_length + one.ids[one.prompt_length :]
        result = theirs(input_ids=torch.tensor([one.ids]), labels=torch.tensor([labels]))
        expected = expected + result.loss * (len(one.ids) - one.prompt_length)
    expected.backward()
    torch.testing.assert_close(loss, expected)
    pairs = list(zip(ours.named_parameters(), theirs.named_parameters(), strict=True))
    trained = [(n, a.grad, b.grad) for (n, a), (_, b) in pairs if a.requires_grad]
    assert trained
    for name, found, wanted in trained:
        # Sums in float32, in another order: with one thread on AMD's AVX512 2e-5 apart.
        torch.testing.assert_close(found, wanted, msg=name, rtol=1e-3, atol=5e-5)


def test_a_stored_adapter_answers_as_peft_alone_has_it(base, tokenizer, adapter):
    prompts = [chat(tokenizer, question) for question in QUESTIONS]
    generator = load_generator(base, adapter, SETTINGS, four_bit=False, threads=1)
    ours = generator.answer(prompts, max_tokens=10, seed=0)
    peft = PeftModel.from_pretrained(load(base), str(adapter)).eval()
    for prompt, answer in zip(prompts, ours, strict=True):
        assert by_transformers(peft, tokenizer, [prompt], 10, repetition_penalty=1.3) == [answer]
    plain = Generator(load(base), tokenizer, CPU, SETTINGS)
    assert ours != plain.answer(prompts, max_tokens=10, seed=0)
    # Were the prompts read with the adapter, other answers would come out.
    everywhere = Generator(networks.load_adapter(load(base), adapter), tokenizer, CPU, SETTINGS)
    assert ours != everywhere.answer(prompts, max_tokens=10, seed=0)


def test_the_opening_is_what_the_template_adds(base, tokenizer, adapter):
    opening = networks.answer_opening(tokenizer)
    assert chat(tokenizer, "Well?")[-len(opening) :] == opening
    assert networks.adapted_prompt_tokens(adapter) == len(opening)
    assert read_json(adapter / "adapter_config.json")["alora_invocation_tokens"] == opening


def test_a_template_without_opening_is_refused(tokenizer, base, tmp_path):
    other = networks.load_tokenizer(base)
    other.chat_template = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
    with pytest.raises(UserError, match="no tokens that open an answer"):
        networks.answer_opening(other)


def test_what_is_stored_is_not_read_again(base, tokenizer, tmp_path, monkeypatch):
    network = load(base)
    prompts = [chat(tokenizer, question) for question in QUESTIONS]
    asked = []

    def counted(network, ids, device):
        asked.append(tuple(ids))
        return read_prompt(network, ids, device)

    monkeypatch.setattr("affectlab.summary.states.read_prompt", counted)
    store = PromptStore(tmp_path / "prompts")
    store.fill(network, prompts[:2], CPU)
    store.fill(network, prompts, CPU)
    assert asked == [tuple(prompt) for prompt in prompts]
    states = store.get(prompts[1])
    assert torch.equal(states.keys, read_prompt(network, prompts[1], CPU).keys)
    assert states.values.shape[2] == len(prompts[1])


def test_an_unusable_adapter_is_named(base, tmp_path):
    (tmp_path / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA"})[:-3])
    with pytest.raises(UserError, match="cannot be loaded as an adapter"):
        networks.adapted_prompt_tokens(tmp_path)
