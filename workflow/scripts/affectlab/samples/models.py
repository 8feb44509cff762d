"""Tiny checkpoints with random weights, in the very form of the real ones.

They let the code that loads, trains and exports real models run in seconds and offline. Nothing
is learnt by the networks; the tokenizers are made here from the sentences of `samples.emotion`.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from affectlab.files.io import atomic_path
from affectlab.samples.emotion import LABELS, make_sentence

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase
    from transformers.image_processing_base import ImageProcessingMixin

BPE_VOCABULARY = 1600
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def write_tiny_qwen3(directory: Path | str, seed: int = 0) -> None:
    """Write a Qwen3ForCausalLM of about 175,000 parameters with tokenizer and chat template.

    Two layers, hidden size 64, four query and two key heads, tied embeddings; a byte-level BPE
    with the special tokens of Qwen3. The same seed gives the same bytes; an existing *directory*
    is replaced as a whole.
    """
    from transformers import Qwen3Config, Qwen3ForCausalLM

    tokenizer = qwen_tokenizer(_sentences(), vocabulary=BPE_VOCABULARY, max_length=512)
    with seeded(seed):
        model = Qwen3ForCausalLM(
            Qwen3Config(
                vocab_size=len(tokenizer),
                hidden_size=64,
                intermediate_size=192,
                num_hidden_layers=2,
                num_attention_heads=4,
                num_key_value_heads=2,
                head_dim=16,
                max_position_embeddings=512,
                tie_word_embeddings=True,
                bos_token_id=None,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
            )
        )
    save(model, tokenizer, Path(directory))


def qwen_tokenizer(
    texts: Iterable[str], *, vocabulary: int, max_length: int
) -> PreTrainedTokenizerBase:
    """Train a byte-level BPE with special tokens and chat template as Qwen2 and Qwen3 have them.

    Args:
        texts: what it learns its pieces from.
        vocabulary: number of tokens.
        max_length: the longest input that it announces.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import Qwen2Tokenizer

    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trained.decoder = decoders.ByteLevel()
    trained.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=vocabulary,
            special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        ),
    )
    parts = json.loads(trained.to_str())["model"]
    tokenizer = Qwen2Tokenizer(
        vocab=parts["vocab"],
        merges=[tuple(pair) for pair in parts["merges"]],
        unk_token="<|endoftext|>",
        pad_token="<|endoftext|>",
        eos_token="<|im_end|>",
        additional_special_tokens=["<|im_start|>"],
        model_max_length=max_length,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def write_tiny_bert(directory: Path | str, seed: int = 0) -> None:
    """Write a BertModel of about 90,000 parameters with a lower-casing WordPiece tokenizer.

    Two layers, hidden size 48, two heads: the architecture of MiniLM-L6. The same seed gives the
    same bytes; an existing *directory* is replaced as a whole.
    """
    from transformers import BertConfig, BertModel, BertTokenizer

    # The tokenizers library numbers the pieces of a trained WordPiece in an order that changes
    # from process to process, so the vocabulary is counted here: letters, then frequent words.
    words = Counter(word for sentence in _sentences() for word in sentence.split())
    letters = sorted({letter for word in words for letter in word} | set("0123456789.,!?'"))
    frequent = [word for word, count in words.most_common() if count > 1 and len(word) > 1]
    pieces = [
        *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
        *letters,
        *(f"##{letter}" for letter in letters),
        *sorted(frequent),
    ]
    tokenizer = BertTokenizer(
        vocab={piece: number for number, piece in enumerate(pieces)},
        do_lower_case=True,
        model_max_length=512,
    )
    with seeded(seed):
        model = BertModel(
            BertConfig(
                vocab_size=len(tokenizer),
                hidden_size=48,
                intermediate_size=96,
                num_hidden_layers=2,
                num_attention_heads=2,
                max_position_embeddings=512,
                pad_token_id=tokenizer.pad_token_id,
            )
        )
    save(model, tokenizer, Path(directory))


def write_tiny_roberta(directory: Path | str, seed: int = 0) -> None:
    """Write a RobertaModel of about 100,000 parameters with a byte-level BPE tokenizer.

    Two layers, hidden size 48, two heads: the architecture of roberta-base. The same seed gives
    the same bytes; an existing *directory* is replaced as a whole.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import RobertaConfig, RobertaModel, RobertaTokenizer

    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trained.train_from_iterator(
        _sentences(),
        trainers.BpeTrainer(
            vocab_size=BPE_VOCABULARY,
            special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        ),
    )
    parts = json.loads(trained.to_str())["model"]
    tokenizer = RobertaTokenizer(
        vocab=parts["vocab"],
        merges=[tuple(pair) for pair in parts["merges"]],
        model_max_length=512,
    )
    with seeded(seed):
        model = RobertaModel(
            RobertaConfig(
                vocab_size=len(tokenizer),
                hidden_size=48,
                intermediate_size=96,
                num_hidden_layers=2,
                num_attention_heads=2,
                max_position_embeddings=514,
                type_vocab_size=1,
                pad_token_id=tokenizer.pad_token_id,
                bos_token_id=tokenizer.bos_token_id,
                eos_token_id=tokenizer.eos_token_id,
            )
        )
    save(model, tokenizer, Path(directory))


def write_tiny_resnet(directory: Path | str, seed: int = 0) -> None:
    """Write a ResNetModel of about 100,000 parameters: basic blocks, as ResNet-18 has them.

    The same seed gives the same bytes; an existing *directory* is replaced as a whole.
    """
    from transformers import ConvNextImageProcessor, ResNetConfig, ResNetModel
    from transformers.image_utils import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD

    with seeded(seed):
        model = ResNetModel(
            ResNetConfig(
                embedding_size=8,
                hidden_sizes=[8, 16, 32, 64],
                depths=[1, 1, 1, 1],
                layer_type="basic",
            )
        )
    processor = ConvNextImageProcessor(
        size={"shortest_edge": 64},
        image_mean=IMAGENET_DEFAULT_MEAN,
        image_std=IMAGENET_DEFAULT_STD,
    )
    save(model, processor, Path(directory))


def write_tiny_vit(directory: Path | str, seed: int = 0) -> None:
    """Write a ViTModel of about 60,000 parameters, for images of 64 x 64 in patches of 16 x 16.

    The same seed gives the same bytes; an existing *directory* is replaced as a whole.
    """
    from transformers import ViTConfig, ViTImageProcessor, ViTModel

    with seeded(seed):
        model = ViTModel(
            ViTConfig(
                hidden_size=32,
                intermediate_size=64,
                num_hidden_layers=2,
                num_attention_heads=2,
                image_size=64,
                patch_size=16,
            ),
            add_pooling_layer=False,
        )
    save(model, ViTImageProcessor(size={"height": 64, "width": 64}), Path(directory))


def _sentences(count: int = 3000) -> list[str]:
    """The text that tokenizers are made from; it does not depend on the model's seed."""
    rng = random.Random(0)
    return [make_sentence(rng, rng.choice(LABELS)) for _ in range(count)]


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw torch's random numbers from *seed* inside the block, and leave its state alone."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def save(
    model: PreTrainedModel,
    preparation: PreTrainedTokenizerBase | ImageProcessingMixin,
    directory: Path,
) -> None:
    """Write a checkpoint directory with its tokenizer or image processor, as a whole."""
    with atomic_path(directory) as temporary:
        model.save_pretrained(temporary)
        preparation.save_pretrained(temporary)
