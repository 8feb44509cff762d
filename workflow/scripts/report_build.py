"""Build the report page and the results table from stored records."""

import os
from pathlib import Path

import affectlab
from affectlab.assets.status import generated_data
from affectlab.experiments import EXPERIMENTS
from affectlab.files.logs import configure_logging
from affectlab.report.overview import Place
from affectlab.report.page import build

configure_logging(snakemake.log[0])
results = Path(snakemake.input.config).parent
build(
    experiments=EXPERIMENTS,
    results=results,
    reference_results=snakemake.params.reference_results,
    sample_data=generated_data(snakemake.input.samples),
    place=Place(
        snakefile=os.path.relpath(Path(affectlab.__file__).parents[3] / "Snakefile"),
        results=str(results),
    ),
    page_path=snakemake.output.page,
    table_path=snakemake.output.table,
    scores_path=snakemake.output.scores,
    audits_path=snakemake.output.audits,
)
