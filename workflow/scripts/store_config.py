"""Store the configuration as it was used, overlays and command line included."""

from affectlab.config.load import dump_yaml, without_secrets
from affectlab.files.io import write_text
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
write_text(snakemake.output[0], dump_yaml(without_secrets(snakemake.params.config)))
