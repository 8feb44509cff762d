"""Write a run's model card and a short program that uses its model."""

from affectlab.config.models import typed
from affectlab.emotion.card import write_card
from affectlab.emotion.settings import EmotionRun
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
write_card(
    metrics_path=snakemake.input.metrics,
    audit_path=snakemake.input.audit,
    export_path=snakemake.input.get("export"),
    recipe=typed(EmotionRun, snakemake.params.recipe),
    dataset=snakemake.params.dataset,
    model=snakemake.params.model,
    card_path=snakemake.output.card,
    example_path=snakemake.output.example,
    licence_path=snakemake.output.licence,
)
