# The subgroups of the items of a data set, such as those by sex or age, whatever its experiment.
#
# REQUIRED INPUTS:
#   <resources>/raw/{data}/manifest.json; the records of the data set
# OUTPUTS: <results>/{experiment}/data/{data}/subgroups.jsonl
# STEPS: subgroups


# Not a part of the conversion: naming a subgroup trains nothing again.
rule subgroups:
    input:
        manifest="<resources>/raw/{data}/manifest.json",
        records=lambda wildcards: (
            f"<results>/{wildcards.experiment}/data/{wildcards.data}/"
            f"{EXPERIMENTS[wildcards.experiment].records}"
        ),
    output:
        subgroups=nonempty("<results>/{experiment}/data/{data}/subgroups.jsonl"),
    log:
        "<logs>/subgroups/{experiment}/{data}.log",
    benchmark:
        "<benchmarks>/subgroups/{experiment}/{data}.jsonl"
    wildcard_constraints:
        experiment=one_of(name for name, one in EXPERIMENTS.items() if one.subgroups),
        data=one_of(
            name for name, entry in REGISTRIES.datasets.items() if "subgroups" in entry
        ),
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=scaled(2000),
        runtime=30,
    params:
        lib=lib("subgroups", subgroups_reader),
        entry=subgroups_entry,
    script:
        "../workflow/scripts/subgroups.py"
