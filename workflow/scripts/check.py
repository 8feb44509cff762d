"""Print what the configuration needs and where it stands."""

from affectlab.files.io import write_text

write_text(snakemake.log[0], f"{snakemake.params.table}\n")
print(snakemake.params.table, flush=True)
