"""Print what the configuration needs and where it stands; fail if anything is missing."""

import sys

from affectlab.files.io import write_text

print(snakemake.params.text, flush=True)
if snakemake.params.missing:
    # Snakemake prints the log of what failed; the table need not stand there twice.
    write_text(snakemake.log[0], "Something is missing; the table above says how to get it.\n")
    sys.exit(1)
write_text(snakemake.log[0], f"{snakemake.params.text}\n")
