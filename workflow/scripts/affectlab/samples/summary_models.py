"""A tiny random Qwen2 with the chat template and special tokens of the real one."""

from __future__ import annotations

import json
import random
from pathlib import Path

from affectlab.samples.models import qwen_tokenizer, save, seeded
from affectlab.samples.summary import chinese_question, english_case

QWEN2_VOCABULARY = 1200


def write_tiny_qwen2(directory: Path | str, seed: int = 0) -> None:
    """Write a Qwen2ForCausalLM of about 150,000 parameters with a byte-level BPE tokenizer.

    Two layers, hidden size 64, four query and two key heads, tied embeddings. The same seed gives
    the same bytes; an existing *directory* is replaced as a whole.
    """
    from transformers import Qwen2Config, Qwen2ForCausalLM

    rng = random.Random(0)
    texts = [
        json.dumps(make(rng, number), ensure_ascii=False)
        for number in range(200)
        for make in (english_case, chinese_question)
    ]
    tokenizer = qwen_tokenizer(texts, vocabulary=QWEN2_VOCABULARY, max_length=4096)
    with seeded(seed):
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
    save(model, tokenizer, Path(directory))
