"""Read the subgroups of the items of a data set, such as those by sex or age."""

from pathlib import Path

from affectlab.assets.manifest import manifest_directory
from affectlab.config.dotted import load
from affectlab.datasets.subgroups import write_subgroups
from affectlab.experiments import EXPERIMENTS
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
directory, entry = manifest_directory(snakemake.input.manifest), snakemake.params.entry
read = load(EXPERIMENTS[snakemake.wildcards.experiment].subgroups)
ids, rows = read(Path(directory), Path(snakemake.input.records), entry)
write_subgroups(snakemake.output.subgroups, rows, ids, entry["subgroups"], directory)
