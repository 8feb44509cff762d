"""Write a run's model card and a short program that uses its probe."""

from affectlab.audio.card import write_card
from affectlab.audio.settings import AudioRun, Encoder
from affectlab.config.models import typed
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
write_card(
    metrics_path=snakemake.input.metrics,
    audit_path=snakemake.input.audit,
    recipe=typed(AudioRun, snakemake.params.recipe),
    dataset=snakemake.params.dataset,
    encoder=typed(Encoder, snakemake.params.encoder),
    model=snakemake.params.model,
    model_manifest_path=snakemake.input.get("model") or None,
    card_path=snakemake.output.card,
    example_path=snakemake.output.example,
    licence_path=snakemake.output.licence,
)
