# The summary experiment: counselling cases, summarised by language models and by baselines.
#
# REQUIRED INPUTS:
#   <resources>/raw/{data}/manifest.json, <resources>/models/{model}/manifest.json
# OUTPUTS:
#   <results>/summary/data/{data}/     cases, description, quarantine, audit
#   <results>/summary/{run}/lengths.json, lengths.svg     the cases in the run's tokens
#   <results>/summary/{run}/seed{seed}/     model, predictions, details, metrics, figures, card
#   <results>/summary/comparison.json     seeds together, runs compared, folds together
# STEPS: convert -> audit, lengths; train -> generate (or baseline) -> judge, neural -> evaluate
#   -> card, compare


include: "summary_common.smk"


# Of the rules from here on to the next such block.
wildcard_constraints:
    run=one_of(SUMMARY["runs"]),


rule summary_convert:
    input:
        manifest="<resources>/raw/{data}/manifest.json",
        listed=listed_items,
        exclude=exclusion_file,
    output:
        records=nonempty("<results>/summary/data/{data}/records.jsonl"),
        quarantine="<results>/summary/data/{data}/quarantine.jsonl",
        description=nonempty("<results>/summary/data/{data}/description.json"),
    log:
        "<logs>/summary_convert/{data}.log",
    benchmark:
        "<benchmarks>/summary_convert/{data}.jsonl"
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=scaled(2000),
        runtime=30,
    params:
        lib=lib("summary_convert"),
        entry=reading_part,
        exclude=exclusion_digests,
        split=SUMMARY["split"],
        on_bad_record=config["on_bad_record"],
        similar_names=config["similar_names"],
    script:
        "../workflow/scripts/summary_convert.py"


rule summary_audit:
    input:
        records="<results>/summary/data/{data}/records.jsonl",
        description="<results>/summary/data/{data}/description.json",
        quarantine="<results>/summary/data/{data}/quarantine.jsonl",
        manifest="<resources>/raw/{data}/manifest.json",
    output:
        audit=nonempty("<results>/summary/data/{data}/audit.json"),
    log:
        "<logs>/summary_audit/{data}.log",
    benchmark:
        "<benchmarks>/summary_audit/{data}.jsonl"
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=scaled(2000),
        runtime=30,
    params:
        lib=lib("summary_audit"),
        expected=expected_counts,
    script:
        "../workflow/scripts/summary_audit.py"


# How long the cases are in a model's tokens, and how much of them its maximum length cuts off.
rule summary_lengths:
    input:
        records=SUMMARY_RUNS.data_of_run("records.jsonl"),
        model=SUMMARY_RUNS.model_of_run,
    output:
        **figure("<results>/summary/{run}/lengths"),
        summary=nonempty("<results>/summary/{run}/lengths.json"),
    log:
        "<logs>/summary_lengths/{run}.log",
    benchmark:
        "<benchmarks>/summary_lengths/{run}.jsonl"
    wildcard_constraints:
        run=one_of(SUMMARY_MODELS),
    conda:
        "../envs/text.yaml"
    resources:
        mem_mb=scaled(4000),
        runtime=60,
    params:
        lib=lib("summary_lengths"),
        recipe=SUMMARY_RUNS.recipe(
            "protocol", "seeds", "lora", "training", "generation"
        ),
    script:
        "../workflow/scripts/summary_lengths.py"


# Trains adapters. Checkpoints lie beside the outputs, so an interrupted job goes on where it was.
rule summary_train:
    input:
        records=SUMMARY_RUNS.data_of_run("records.jsonl"),
        audit=ordering_only(SUMMARY_RUNS.data_of_run("audit.json")),
        model=SUMMARY_RUNS.model_of_run,
    output:
        model=directory("<results>/summary/{run}/seed{seed}/model"),
        history=nonempty("<results>/summary/{run}/seed{seed}/history.csv"),
        training=nonempty("<results>/summary/{run}/seed{seed}/training.json"),
    log:
        "<logs>/summary_train/{run}/seed{seed}.log",
    benchmark:
        "<benchmarks>/summary_train/{run}/seed{seed}.jsonl"
    wildcard_constraints:
        run=one_of(SUMMARY_TRAINED),
    conda:
        "../envs/text.yaml"
    threads: 8
    resources:
        mem_mb=scaled(16000),
        runtime=1440,
        gpu=1,
    params:
        lib=lib("summary_train"),
        # What decides when to train again.
        decisive=lambda wildcards: training_part(summary_recipe()(wildcards)),
        # What the script reads. A param that is a function of `output` never causes a rerun.
        recipe=lambda wildcards, output: summary_recipe()(wildcards),
    script:
        "../workflow/scripts/summary_train.py"


# The same without one fold of a cross-validation.
use rule summary_train as summary_train_fold with:
    output:
        model=directory("<results>/summary/{run}/seed{seed}/fold{fold}/model"),
        history=nonempty("<results>/summary/{run}/seed{seed}/fold{fold}/history.csv"),
        training=nonempty("<results>/summary/{run}/seed{seed}/fold{fold}/training.json"),
    log:
        "<logs>/summary_train/{run}/seed{seed}/fold{fold}.log",
    benchmark:
        "<benchmarks>/summary_train/{run}/seed{seed}/fold{fold}.jsonl"


# Answers lie beside the outputs until all are there, so an interrupted job asks only for the rest.
rule summary_generate:
    input:
        records=SUMMARY_RUNS.data_of_run("records.jsonl"),
        audit=ordering_only(SUMMARY_RUNS.data_of_run("audit.json")),
        model=SUMMARY_RUNS.model_of_run,
        trained=summary_trained("model"),
    output:
        predictions=nonempty("<results>/summary/{run}/seed{seed}/predictions.jsonl"),
        details=nonempty("<results>/summary/{run}/seed{seed}/details.jsonl"),
    log:
        "<logs>/summary_generate/{run}/seed{seed}.log",
    benchmark:
        "<benchmarks>/summary_generate/{run}/seed{seed}.jsonl"
    wildcard_constraints:
        run=one_of(set(SUMMARY_MODELS) - set(SUMMARY_FOLDED)),
    conda:
        "../envs/text.yaml"
    threads: 8
    resources:
        mem_mb=scaled(16000),
        runtime=720,
        gpu=1,
    params:
        lib=lib("summary_generate"),
        recipe=summary_recipe("protocol", "seeds"),
    script:
        "../workflow/scripts/summary_generate.py"


# A fold of a cross-validation, by the model that was trained without it.
use rule summary_generate as summary_generate_fold with:
    input:
        records=SUMMARY_RUNS.data_of_run("records.jsonl"),
        audit=ordering_only(SUMMARY_RUNS.data_of_run("audit.json")),
        model=SUMMARY_RUNS.model_of_run,
        trained="<results>/summary/{run}/seed{seed}/fold{fold}/model",
    output:
        predictions=nonempty(
            "<results>/summary/{run}/seed{seed}/fold{fold}/predictions.jsonl"
        ),
        details=nonempty("<results>/summary/{run}/seed{seed}/fold{fold}/details.jsonl"),
    log:
        "<logs>/summary_generate/{run}/seed{seed}/fold{fold}.log",
    benchmark:
        "<benchmarks>/summary_generate/{run}/seed{seed}/fold{fold}.jsonl"
    wildcard_constraints:
        run=one_of(SUMMARY_FOLDED),


# Every case was held out in one fold: the answers of all folds are one table.
rule summary_pool:
    input:
        predictions=SUMMARY_RUNS.of_folds("predictions.jsonl"),
        details=SUMMARY_RUNS.of_folds("details.jsonl"),
    output:
        predictions=nonempty("<results>/summary/{run}/seed{seed}/predictions.jsonl"),
        details=nonempty("<results>/summary/{run}/seed{seed}/details.jsonl"),
    log:
        "<logs>/summary_pool/{run}/seed{seed}.log",
    benchmark:
        "<benchmarks>/summary_pool/{run}/seed{seed}.jsonl"
    wildcard_constraints:
        run=one_of(SUMMARY_FOLDED),
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=scaled(1000),
        runtime=15,
    params:
        lib=lib("summary_pool"),
    script:
        "../workflow/scripts/summary_pool.py"


# Beginning, end, central sentences of the case, and references of others: no model.
rule summary_baseline:
    input:
        records=SUMMARY_RUNS.data_of_run("records.jsonl"),
        audit=ordering_only(SUMMARY_RUNS.data_of_run("audit.json")),
    output:
        predictions=nonempty("<results>/summary/{run}/seed{seed}/predictions.jsonl"),
        details=nonempty("<results>/summary/{run}/seed{seed}/details.jsonl"),
    log:
        "<logs>/summary_baseline/{run}/seed{seed}.log",
    benchmark:
        "<benchmarks>/summary_baseline/{run}/seed{seed}.jsonl"
    wildcard_constraints:
        run=one_of(SUMMARY_BASELINES),
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=scaled(4000),
        runtime=120,
    params:
        lib=lib("summary_baseline"),
        method=lambda wildcards: SUMMARY_RUNS[wildcards.run]["method"],
        fold=lambda wildcards: SUMMARY_RUNS[wildcards.run]["fold"],
    script:
        "../workflow/scripts/summary_baseline.py"


# What somebody else wrote, as our own summaries are stored.
rule summary_outside:
    input:
        table=SUMMARY_RUNS.outside_files,
        records=SUMMARY_RUNS.data_of_run("records.jsonl"),
        description=SUMMARY_RUNS.data_of_run("description.json"),
    output:
        predictions=nonempty("<results>/summary/{run}/seed{seed}/predictions.jsonl"),
        details=nonempty("<results>/summary/{run}/seed{seed}/details.jsonl"),
        outside=nonempty("<results>/summary/{run}/seed{seed}/outside.json"),
    log:
        "<logs>/summary_outside/{run}/seed{seed}.log",
    benchmark:
        "<benchmarks>/summary_outside/{run}/seed{seed}.jsonl"
    wildcard_constraints:
        run=one_of(SUMMARY_OUTSIDE),
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=scaled(2000),
        runtime=15,
    params:
        lib=lib("summary_outside"),
        recipe=SUMMARY_RUNS.recipe("protocol", "seeds", "data"),
    script:
        "../workflow/scripts/summary_outside.py"


# Marks by a language model behind an endpoint; only where one is configured.
rule summary_judge:
    input:
        predictions="<results>/summary/{run}/seed{seed}/predictions.jsonl",
        details="<results>/summary/{run}/seed{seed}/details.jsonl",
        records=SUMMARY_RUNS.data_of_run("records.jsonl"),
    output:
        judge=nonempty("<results>/summary/{run}/seed{seed}/judge.json"),
    log:
        "<logs>/summary_judge/{run}/seed{seed}.log",
    benchmark:
        "<benchmarks>/summary_judge/{run}/seed{seed}.jsonl"
    # It needs the network, which compute nodes seldom have.
    localrule: True
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=scaled(2000),
        runtime=240,
    params:
        lib=lib("summary_judge"),
        fold=lambda wildcards: SUMMARY_RUNS[wildcards.run]["fold"],
        settings=SUMMARY["judge"],
        level=SUMMARY["bootstrap"]["level"],
    script:
        "../workflow/scripts/summary_judge.py"


# BERTScore, and support of sentences by inference; only where their models are configured.
rule summary_neural:
    input:
        predictions="<results>/summary/{run}/seed{seed}/predictions.jsonl",
        details="<results>/summary/{run}/seed{seed}/details.jsonl",
        records=SUMMARY_RUNS.data_of_run("records.jsonl"),
        bertscore=summary_scoring_model("bertscore_model"),
        nli=summary_scoring_model("nli_model"),
    output:
        neural=nonempty("<results>/summary/{run}/seed{seed}/neural.json"),
    log:
        "<logs>/summary_neural/{run}/seed{seed}.log",
    benchmark:
        "<benchmarks>/summary_neural/{run}/seed{seed}.jsonl"
    conda:
        "../envs/text.yaml"
    threads: 4
    resources:
        mem_mb=scaled(8000),
        runtime=240,
        gpu=1,
    params:
        lib=lib("summary_neural"),
        fold=lambda wildcards: SUMMARY_RUNS[wildcards.run]["fold"],
        level=SUMMARY["bootstrap"]["level"],
    script:
        "../workflow/scripts/summary_neural.py"


# Scores and intervals, side results merged in. Also compares with the baseline on the same cases.
rule summary_evaluate:
    input:
        predictions="<results>/summary/{run}/seed{seed}/predictions.jsonl",
        details="<results>/summary/{run}/seed{seed}/details.jsonl",
        outside=SUMMARY_RUNS.of_outside("outside.json"),
        training=summary_trained("training.json"),
        records=SUMMARY_RUNS.data_of_run("records.jsonl"),
        model=SUMMARY_RUNS.model_of_run,
        baseline=summary_baseline_of,
        judge=summary_judge_of,
        neural=summary_neural_of,
        subgroups=SUMMARY_RUNS.subgroups_of_run,
        metrics_schema=schema("metrics"),
        run_schema=schema("run"),
    output:
        **figure("<results>/summary/{run}/seed{seed}/figures/fields"),
        metrics=nonempty("<results>/summary/{run}/seed{seed}/metrics.json"),
        run=nonempty("<results>/summary/{run}/seed{seed}/run.json"),
        text=nonempty("<results>/summary/{run}/seed{seed}/evaluation_results.txt"),
    log:
        "<logs>/summary_evaluate/{run}/seed{seed}.log",
    benchmark:
        "<benchmarks>/summary_evaluate/{run}/seed{seed}.jsonl"
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=scaled(4000),
        runtime=120,
    params:
        lib=lib("summary_evaluate"),
        recipe=SUMMARY_RUNS.recipe("seeds"),
        bootstrap=SUMMARY["bootstrap"],
        baseline=SUMMARY_BASELINE,
        model_languages=summary_model_languages,
    script:
        "../workflow/scripts/summary_evaluate.py"


# Seeds of a run together, every pair of runs on the same cases, and the folds of
# cross-validations: every case once, by a run that has not seen it.
rule summary_compare:
    input:
        metrics=SUMMARY_RUNS.results("metrics.json"),
        predictions=SUMMARY_RUNS.results("predictions.jsonl"),
        details=SUMMARY_RUNS.results("details.jsonl"),
        records=SUMMARY_RUNS.data_files("records.jsonl"),
        schema=schema("comparison"),
    output:
        comparison=nonempty("<results>/summary/comparison.json"),
    log:
        "<logs>/summary_compare.log",
    benchmark:
        "<benchmarks>/summary_compare.jsonl"
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=scaled(4000),
        runtime=120,
    params:
        lib=lib("summary_compare"),
        data=SUMMARY_RUNS.data,
        folds={name: run["fold"] for name, run in SUMMARY_RUNS.selected.items()},
        pools=SUMMARY["cross_validation"],
        baseline=SUMMARY_BASELINE_RUN,
        bootstrap=SUMMARY["bootstrap"],
    script:
        "../workflow/scripts/summary_compare.py"


# The card that goes with a model, and a program of a few lines that uses it.
rule summary_card:
    input:
        metrics="<results>/summary/{run}/seed{seed}/metrics.json",
        audit=SUMMARY_RUNS.data_of_run("audit.json"),
        model=SUMMARY_RUNS.model_of_run,
    output:
        card=nonempty("<results>/summary/{run}/seed{seed}/model_card.md"),
        example=nonempty("<results>/summary/{run}/seed{seed}/inference_example.py"),
        licence=nonempty("<results>/summary/{run}/seed{seed}/LICENSE.md"),
    log:
        "<logs>/summary_card/{run}/seed{seed}.log",
    benchmark:
        "<benchmarks>/summary_card/{run}/seed{seed}.jsonl"
    wildcard_constraints:
        run=one_of(SUMMARY_TRAINED),
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=scaled(1000),
        runtime=15,
    params:
        lib=lib("summary_card"),
        recipe=SUMMARY_RUNS.recipe("seeds"),
        dataset=SUMMARY_RUNS.dataset_entry,
        model=SUMMARY_RUNS.model_entry,
    script:
        "../workflow/scripts/summary_card.py"
