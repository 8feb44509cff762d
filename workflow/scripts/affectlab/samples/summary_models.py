"""A tiny random Qwen2 with the chat template and special tokens of the real one."""

from __future__ import annotations

import json
import random
from pathlib import Path

from affectlab.samples.models import CHAT_TEMPLATE, _save, _seeded
from affectlab.samples.summary import chinese_question, english_case

QWEN2_VOCABULARY = 1200


def write_tiny_qwen2(directory: Path | str, seed: int = 0) -> None:
    """Write a Qwen2ForCausalLM of about 150,000 parameters with a byte-level BPE tokenizer.

    Two layers, hidden size 64, four query and two key heads, tied embeddings. The same seed gives
    the same bytes; an existing *directory* is replaced as a whole.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import Qwen2Config, Qwen2ForCausalLM, Qwen2Tokenizer

    rng = random.Random(0)
    texts = [
        json.dumps(make(rng, number), ensure_ascii=False)
        for number in range(200)
        for make in (english_case, chinese_question)
    ]
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    bpe.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=QWEN2_VOCABULARY,
            special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        ),
    )
    parts = json.loads(bpe.to_str())["model"]
    tokenizer = Qwen2Tokenizer(
        vocab=parts["vocab"],
        merges=[tuple(pair) for pair in parts["merges"]],
        unk_token="<|endoftext|>",
        pad_token="<|endoftext|>",
        eos_token="<|im_end|>",
        additional_special_tokens=["<|im_start|>"],
        model_max_length=4096,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    with _seeded(seed):
        model = Qwen2ForCausalLM(
            Qwen2Config(
                vocab_size=len(tokenizer),
                hidden_size=64,
                intermediate_size=128,
                num_hidden_layers=2,
                num_attention_heads=4,
                num_key_value_heads=2,
                max_position_embeddings=4096,
                tie_word_embeddings=True,
                bos_token_id=None,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
            )
        )
    _save(model, tokenizer, Path(directory))
