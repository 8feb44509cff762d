"""Write a run's model card and a short program that uses its model."""

from affectlab.config.models import typed
from affectlab.entity.card import write_card
from affectlab.entity.settings import EntityRun
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
write_card(
    metrics_path=snakemake.input.metrics,
    audit_paths=dict(zip(snakemake.params.datasets, snakemake.input.audits, strict=True)),
    recipe=typed(EntityRun, snakemake.params.recipe),
    datasets=snakemake.params.datasets,
    model=snakemake.params.model,
    card_path=snakemake.output.card,
    example_path=snakemake.output.example,
    licence_path=snakemake.output.licence,
)
