"""Obtain a pretrained model: the user's own copy, else the first source that serves it."""

from affectlab.assets.fetch import fetch_model
from affectlab.files.logs import configure_logging
from affectlab.samples import audio_models
from affectlab.samples.models import (
    write_tiny_bert,
    write_tiny_qwen3,
    write_tiny_resnet,
    write_tiny_roberta,
    write_tiny_vit,
)
from affectlab.samples.summary_models import write_tiny_qwen2

configure_logging(snakemake.log[0])
fetch_model(
    snakemake.wildcards.model,
    snakemake.params.entry,
    snakemake.output.manifest,
    snakemake.config["model_root"],
    generators={
        "bert": write_tiny_bert,
        "qwen2": write_tiny_qwen2,
        "qwen3": write_tiny_qwen3,
        "roberta": write_tiny_roberta,
        "resnet": write_tiny_resnet,
        "vit": write_tiny_vit,
        "clap": audio_models.write_tiny_clap,
        "ge2e": audio_models.write_tiny_ge2e,
        "qwen2_audio": audio_models.write_tiny_qwen2_audio,
        "whisper": audio_models.write_tiny_whisper,
    },
)
