# The tone experiment: whether a short text is friendly or hostile, by its words.
#
# REQUIRED INPUTS: <resources>/raw/{data}/manifest.json
# OUTPUTS:
#   <results>/tone/data/{data}/           records, audit
#   <results>/tone/{run}/seed{seed}/      model, predictions, metrics
#   <results>/tone/comparison.json        runs against each other
# STEPS: convert -> train -> evaluate -> compare

from affectlab.tone.settings import selected_runs as selected_tone_runs

TONE = config["tone"]
TONE_RUNS = Runs("tone", selected_tone_runs(TONE))


def tone_targets(wildcards):
    return [
        *TONE_RUNS.data_files("audit.json"),
        *TONE_RUNS.results("metrics.json"),
        "<results>/tone/comparison.json",
    ]


EXPERIMENT_TARGETS["tone"] = tone_targets


localrules:
    tone,


# The tone experiment: every selected run, and the comparison of runs.
rule tone:
    input:
        rules.store_config.output,
        tone_targets,


rule tone_convert:
    input:
        manifest="<resources>/raw/{data}/manifest.json",
    output:
        records=ensure("<results>/tone/data/{data}/records.jsonl", non_empty=True),
        audit=ensure("<results>/tone/data/{data}/audit.json", non_empty=True),
    log:
        "<logs>/tone_convert/{data}.log",
    benchmark:
        "<benchmarks>/tone_convert/{data}.jsonl"
    conda:
        "../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=scaled(500),
        runtime=5,
    params:
        lib=lib("tone_convert"),
    script:
        "../workflow/scripts/tone_convert.py"


rule tone_train:
    input:
        records=TONE_RUNS.data_of_run("records.jsonl"),
    output:
        model=directory("<results>/tone/{run}/seed{seed}/model"),
        predictions=ensure(
            "<results>/tone/{run}/seed{seed}/predictions.jsonl", non_empty=True
        ),
    log:
        "<logs>/tone_train/{run}/seed{seed}.log",
    benchmark:
        "<benchmarks>/tone_train/{run}/seed{seed}.jsonl"
    wildcard_constraints:
        run=one_of(TONE["runs"]),
    conda:
        "../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=scaled(500),
        runtime=5,
    params:
        lib=lib("tone_train"),
        smoothing=lambda wildcards: TONE_RUNS[wildcards.run]["smoothing"],
    script:
        "../workflow/scripts/tone_train.py"


rule tone_evaluate:
    input:
        predictions="<results>/tone/{run}/seed{seed}/predictions.jsonl",
        records=TONE_RUNS.data_of_run("records.jsonl"),
        metrics_schema=schema("metrics"),
        run_schema=schema("run"),
    output:
        metrics=ensure("<results>/tone/{run}/seed{seed}/metrics.json", non_empty=True),
        run=ensure("<results>/tone/{run}/seed{seed}/run.json", non_empty=True),
    log:
        "<logs>/tone_evaluate/{run}/seed{seed}.log",
    benchmark:
        "<benchmarks>/tone_evaluate/{run}/seed{seed}.jsonl"
    wildcard_constraints:
        run=one_of(TONE["runs"]),
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=scaled(1000),
        runtime=5,
    params:
        lib=lib("tone_evaluate"),
        recipe=TONE_RUNS.recipe("seeds"),
        bootstrap=TONE["bootstrap"],
    script:
        "../workflow/scripts/tone_evaluate.py"


rule tone_compare:
    input:
        metrics=TONE_RUNS.results("metrics.json"),
        predictions=TONE_RUNS.results("predictions.jsonl"),
        records=TONE_RUNS.data_files("records.jsonl"),
        schema=schema("comparison"),
    output:
        comparison=ensure("<results>/tone/comparison.json", non_empty=True),
    log:
        "<logs>/tone_compare.log",
    benchmark:
        "<benchmarks>/tone_compare.jsonl"
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=scaled(1000),
        runtime=5,
    params:
        lib=lib("tone_compare"),
        data=TONE_RUNS.data,
        bootstrap=TONE["bootstrap"],
    script:
        "../workflow/scripts/tone_compare.py"
