"""Tiny audio encoders with random weights, saved in the very form of the published ones."""

from __future__ import annotations

from pathlib import Path

from affectlab.files.io import atomic_path, write_json
from affectlab.samples.models import seeded

WHISPER = {
    "d_model": 32,
    "encoder_layers": 2,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 64,
    "decoder_layers": 1,
    "decoder_attention_heads": 2,
    "decoder_ffn_dim": 32,
    "vocab_size": 64,
    "max_target_positions": 8,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 3,
}
CLAP_AUDIO = {
    "patch_embeds_hidden_size": 8,
    "hidden_size": 64,
    "depths": [1, 1, 1, 1],
    "num_attention_heads": [1, 2, 4, 8],
    "projection_dim": 16,
    "enable_fusion": True,
    "fusion_type": "aff_2d",
}


def write_tiny_whisper(directory: Path | str, seed: int = 0) -> None:
    """Write a WhisperForConditionalGeneration of two encoder layers, 30 s windows, 80 mel bands."""
    from transformers import (
        WhisperConfig,
        WhisperFeatureExtractor,
        WhisperForConditionalGeneration,
    )

    with seeded(seed):
        model = WhisperForConditionalGeneration(WhisperConfig(**WHISPER))
    with atomic_path(directory) as temporary:
        model.save_pretrained(temporary)
        WhisperFeatureExtractor(feature_size=80).save_pretrained(temporary)


def write_tiny_qwen2_audio(directory: Path | str, seed: int = 0) -> None:
    """Write a Qwen2AudioForConditionalGeneration, its weights in several shards with an index."""
    from transformers import (
        Qwen2AudioConfig,
        Qwen2AudioForConditionalGeneration,
        WhisperFeatureExtractor,
    )

    audio = {
        "model_type": "qwen2_audio_encoder",
        "d_model": 32,
        "encoder_layers": 2,
        "encoder_attention_heads": 2,
        "encoder_ffn_dim": 64,
        "num_mel_bins": 128,
    }
    text = {
        "model_type": "qwen2",
        "vocab_size": 64,
        "hidden_size": 32,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
    }
    with seeded(seed):
        model = Qwen2AudioForConditionalGeneration(
            Qwen2AudioConfig(audio_config=audio, text_config=text, audio_token_index=63)
        )
    with atomic_path(directory) as temporary:
        model.save_pretrained(temporary, max_shard_size="150KB")
        WhisperFeatureExtractor(feature_size=128).save_pretrained(temporary)


def write_tiny_clap(directory: Path | str, seed: int = 0) -> None:
    """Write a ClapModel with a fusing HTSAT of four stages, 48 kHz, and a tiny text half."""
    from transformers import ClapConfig, ClapFeatureExtractor, ClapModel

    text = {
        "vocab_size": 64,
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "max_position_embeddings": 16,
        "projection_dim": 16,
    }
    with seeded(seed):
        model = ClapModel(ClapConfig(text_config=text, audio_config=CLAP_AUDIO, projection_dim=16))
    with atomic_path(directory) as temporary:
        model.save_pretrained(temporary)
        ClapFeatureExtractor(frequency_min=50, frequency_max=14_000).save_pretrained(temporary)


def write_tiny_ge2e(directory: Path | str, seed: int = 0) -> None:
    """Write a GE2E speaker encoder of one layer, as the conversion of resemblyzer's writes it."""
    from safetensors.torch import save_file
    from torch import nn

    with seeded(seed):
        network = nn.ModuleDict({"lstm": nn.LSTM(40, 16), "linear": nn.Linear(16, 16)})
    with atomic_path(directory) as temporary:
        temporary.mkdir()
        save_file(network.state_dict(), temporary / "model.safetensors")
        config = {"model_type": "ge2e", "hidden_size": 16, "num_layers": 1}
        write_json(temporary / "config.json", config)
        features = {"feature_size": 40, "sampling_rate": 16_000}
        write_json(temporary / "preprocessor_config.json", features)
