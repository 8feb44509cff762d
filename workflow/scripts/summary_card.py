"""Write a run's model card and a short program that uses its model."""

from affectlab.config.models import typed
from affectlab.files.logs import configure_logging
from affectlab.summary.card import write_card
from affectlab.summary.settings import SummaryRun

configure_logging(snakemake.log[0])
write_card(
    metrics_path=snakemake.input.metrics,
    audit_path=snakemake.input.audit,
    recipe=typed(SummaryRun, snakemake.params.recipe),
    dataset=snakemake.params.dataset,
    model=snakemake.params.model,
    model_manifest_path=snakemake.input.model,
    card_path=snakemake.output.card,
    example_path=snakemake.output.example,
    licence_path=snakemake.output.licence,
)
