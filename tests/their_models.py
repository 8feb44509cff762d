"""Tiny twins of classifiers that others publish: their classes, random weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import (
    BertTokenizer,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    ViTConfig,
    ViTForImageClassification,
    ViTImageProcessor,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForSequenceClassification,
)

from affectlab.samples.models import seeded, write_tiny_bert

EMOTION = ("sadness", "joy", "love", "anger", "fear", "surprise")
"""Of `bhadresh-savani/distilbert-base-uncased-emotion`."""

FACES = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
"""Of `trpakov/vit-face-expression`."""

CARD = """---
language: [en]
datasets:
- emotion
metrics: [accuracy]
model-index:
- name: twin
  results:
  - task: {type: text-classification, name: Text Classification}
    dataset: {name: emotion, type: emotion, config: default, split: test}
    metrics:
    - {type: accuracy, value: 0.927, name: Accuracy}
    - {type: f1, value: 0.88, name: F1 Macro}
---
# A twin
"""


def labels_of(names: Sequence[str]) -> dict[str, Any]:
    return {
        "num_labels": len(names),
        "id2label": dict(enumerate(names)),
        "label2id": {name: number for number, name in enumerate(names)},
    }


def write_texts_model(
    folder: Path, names: Sequence[str] = EMOTION, *, card: str | None = None, **config: Any
) -> None:
    """Write a DistilBertForSequenceClassification with a lower-casing WordPiece tokenizer."""
    write_tiny_bert(folder)
    tokenizer = BertTokenizer.from_pretrained(folder)
    settings = {"dim": 32, "hidden_dim": 64, "n_layers": 2, "n_heads": 2, **labels_of(names)}
    settings |= {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id, **config}
    # With the usual range, all texts would have nearly the same probabilities.
    with seeded(1):
        model = DistilBertForSequenceClassification(
            DistilBertConfig(initializer_range=0.4, **settings)
        )
    for path in folder.glob("*"):
        path.unlink()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    if card is not None:
        (folder / "README.md").write_text(card)


def write_images_model(folder: Path, names: Sequence[str] = FACES) -> None:
    """Write a ViTForImageClassification for RGB images of 32 x 32 in patches of 16."""
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    config = ViTConfig(
        **sizes, num_attention_heads=2, image_size=32, patch_size=16, **labels_of(names)
    )
    with seeded(2):
        model = ViTForImageClassification(config)
        torch.nn.init.normal_(model.classifier.weight, std=0.3)
    model.save_pretrained(folder)
    ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)


def write_recordings_model(folder: Path, names: Sequence[str], rate: int = 16_000) -> None:
    """Write a Wav2Vec2ForSequenceClassification of two layers."""
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    config = Wav2Vec2Config(
        **sizes,
        num_attention_heads=2,
        conv_dim=[16] * 7,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=2,
        classifier_proj_size=16,
        **labels_of(names),
    )
    with seeded(3):
        model = Wav2Vec2ForSequenceClassification(config)
        torch.nn.init.normal_(model.classifier.weight, std=2.0)
    model.save_pretrained(folder)
    Wav2Vec2FeatureExtractor(sampling_rate=rate).save_pretrained(folder)


def write_texts_onnx(source: Path, folder: Path, file: str = "onnx/model.onnx") -> None:
    """Export the model of `write_texts_model` to a folder without other weights."""
    network = DistilBertForSequenceClassification.from_pretrained(
        source, attn_implementation="eager"
    ).eval()
    tokenizer = BertTokenizer.from_pretrained(source)

    class Logits(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            return self.network(input_ids=input_ids, attention_mask=attention_mask).logits

    example = tokenizer(["a short text", "a text that is longer"], padding=True)
    logits = Logits().eval()
    names = ["input_ids", "attention_mask"]
    path = folder / file
    path.parent.mkdir(parents=True)
    axes = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    torch.onnx.export(
        logits,
        tuple(torch.tensor(example[name]) for name in names),
        str(path),
        input_names=names,
        output_names=["logits"],
        dynamic_shapes=[axes, axes],
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    tokenizer.save_pretrained(folder)
    network.config.save_pretrained(folder)
