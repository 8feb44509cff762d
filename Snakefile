# affectlab: affective-computing experiments, from raw data to report.
#
#   snakemake --cores N --use-conda               everything the config selects
#   snakemake --cores N --use-conda emotion       one experiment
#   snakemake check                               what the config needs, and where it stands
#   snakemake --configfile config/cpu.yaml ...    a smaller set-up
#
# This file is the table of contents: configuration, stages, targets.

from pathlib import Path

from snakemake.utils import min_version

min_version("9.20")


include: "rules/first.smk"


configfile: Path(str(workflow.current_basedir)) / "config" / "config.yaml"


pathvars:
    # `benchmarks/` holds the scripts that measure speed.
    benchmarks="logs/benchmarks",


report: "workflow/report/workflow.rst"


include: "rules/common.smk"
include: "rules/fetch.smk"
include: "rules/face.smk"
include: "rules/emotion.smk"
include: "rules/entity.smk"
include: "rules/summary.smk"
include: "rules/audio.smk"
include: "rules/other_data.smk"
include: "rules/curves.smk"
include: "rules/subgroups.smk"
include: "rules/report.smk"
include: "rules/targets.smk"


localrules:
    all,
    report,


# Everything: the experiments that `experiments` names, their report, and the configuration they ran with.
rule all:
    default_target: True
    input:
        rules.store_config.output,
        rules.report_build.output,
        experiment_targets,


# The report alone, with what it is made from.
rule report:
    input:
        rules.report_build.output,


environments_with_braces()
