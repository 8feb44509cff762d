# Getting data sets and models, and telling where they stand.
#
# REQUIRED INPUTS: none; local copies under data_root and model_root are used where they exist.
# OUTPUTS:
#   <resources>/raw/{data}/manifest.json        where a data set's files lie, with checksums
#   <resources>/models/{model}/manifest.json    the same for a pretrained model
#   <results>/config.yaml                       the configuration as it was used
# STEPS: fetch_dataset, fetch_model, store_config, check


rule fetch_dataset:
    input:
        local=local_data,
    output:
        manifest=nonempty("<resources>/raw/{data}/manifest.json"),
    log:
        "<logs>/fetch_dataset/{data}.log",
    benchmark:
        "<benchmarks>/fetch_dataset/{data}.jsonl"
    localrule: True
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=scaled(1000),
        runtime=120,
    params:
        lib=lib("fetch_dataset", data_generators),
        entry=lambda wildcards: fetched_part(REGISTRIES.datasets[wildcards.data]),
        # Another root without a copy in it changes nothing; the script reads it for its messages.
        local_copy=lambda wildcards: str(
            local_copy(
                wildcards.data,
                config["data_root"],
                REGISTRIES.datasets[wildcards.data].get("path"),
            )
            or ""
        ),
        generators=data_generators,
    script:
        "../workflow/scripts/fetch_dataset.py"


rule fetch_model:
    input:
        local=local_model,
    output:
        manifest=nonempty("<resources>/models/{model}/manifest.json"),
    log:
        "<logs>/fetch_model/{model}.log",
    benchmark:
        "<benchmarks>/fetch_model/{model}.jsonl"
    localrule: True
    conda:
        "../envs/text.yaml"
    resources:
        mem_mb=scaled(4000),
        runtime=240,
    params:
        lib=lib("fetch_model", model_generators),
        entry=lambda wildcards: fetched_part(REGISTRIES.models[wildcards.model]),
        # Another root without a copy in it changes nothing; the script reads it for its messages.
        local_copy=lambda wildcards: str(
            local_copy(wildcards.model, config["model_root"]) or ""
        ),
        generators=model_generators,
    script:
        "../workflow/scripts/fetch_model.py"


rule store_config:
    output:
        nonempty("<results>/config.yaml"),
    log:
        "<logs>/store_config.log",
    benchmark:
        "<benchmarks>/store_config.jsonl"
    localrule: True
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=scaled(500),
        runtime=5,
    params:
        lib=lib("store_config"),
        config=config,
    script:
        "../workflow/scripts/store_config.py"


# Runs each time it is asked for, since it has no output; a benchmark would count as one.
rule check:
    log:
        "<logs>/check.log",
    localrule: True
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=scaled(500),
        runtime=5,
    params:
        lib=lib("check"),
        text=lambda wildcards: check_text(config, asset_statuses()),
        missing=lambda wildcards: sum(
            status.state == "missing" for status in asset_statuses()
        ),
    script:
        "../workflow/scripts/check.py"
