"""Build the report page and the results table from stored records."""

from pathlib import Path

from affectlab.assets.status import generated_data
from affectlab.experiments import EXPERIMENTS
from affectlab.files.logs import configure_logging
from affectlab.report.page import build

configure_logging(snakemake.log[0])
build(
    experiments=EXPERIMENTS,
    results=Path(snakemake.input.config).parent,
    reference_results=snakemake.params.reference_results,
    sample_data=generated_data(snakemake.input.samples),
    page_path=snakemake.output.page,
    table_path=snakemake.output.table,
)
