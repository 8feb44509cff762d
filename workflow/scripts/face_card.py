"""Write a run's model card and a short program that uses its model."""

from pathlib import Path

from affectlab.config.models import typed
from affectlab.face.card import write_card
from affectlab.face.settings import FaceRun, Labels
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
check = snakemake.input.get("check")
write_card(
    metrics_path=Path(snakemake.input.metrics),
    audit_path=Path(snakemake.input.audit),
    check_path=Path(check) if check else None,
    recipe=typed(FaceRun, snakemake.params.recipe),
    labels=typed(Labels, snakemake.params.labels),
    dataset=snakemake.params.dataset,
    votes=snakemake.params.votes,
    model=snakemake.params.model,
    card_path=Path(snakemake.output.card),
    example_path=Path(snakemake.output.example),
    licence_path=Path(snakemake.output.licence),
)
