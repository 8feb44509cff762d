"""The configuration: reading, merging and checking it, and what Snakemake asks before a job."""
