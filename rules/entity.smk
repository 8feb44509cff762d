# The entity experiment: a probabilistic emotion embedding of sentences and of spans in them.
#
# REQUIRED INPUTS:
#   <resources>/raw/{data}/manifest.json, <resources>/models/{model}/manifest.json
# OUTPUTS:
#   <results>/entity/data/{data}/     records, description, quarantine, audit
#   <results>/entity/{run}/seed{seed}/     model, predictions, metrics, figures, card
#   <results>/entity/figures/updates.svg     top 1 by updates
#   <results>/entity/comparison.json     seeds together, runs against each other
# STEPS: convert -> audit; train (stage by stage) -> predict -> evaluate -> card; curves, updates, compare


include: "entity_common.smk"


# Of the rules from here on to the next such block.
wildcard_constraints:
    run=one_of(ENTITY["runs"]),


rule entity_convert:
    input:
        manifest="<resources>/raw/{data}/manifest.json",
        listed=listed_items,
        exclude=exclusion_file,
    output:
        records=nonempty("<results>/entity/data/{data}/records.jsonl"),
        quarantine="<results>/entity/data/{data}/quarantine.jsonl",
        description=nonempty("<results>/entity/data/{data}/description.json"),
    log:
        "<logs>/entity_convert/{data}.log",
    benchmark:
        "<benchmarks>/entity_convert/{data}.jsonl"
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=scaled(2000),
        runtime=30,
    params:
        lib=lib("entity_convert"),
        entry=reading_part,
        exclude=exclusion_digests,
        on_bad_record=config["on_bad_record"],
        similar_names=config["similar_names"],
        split=entity_split,
    script:
        "../workflow/scripts/entity_convert.py"


rule entity_audit:
    input:
        records="<results>/entity/data/{data}/records.jsonl",
        description="<results>/entity/data/{data}/description.json",
        quarantine="<results>/entity/data/{data}/quarantine.jsonl",
        manifest="<resources>/raw/{data}/manifest.json",
    output:
        audit=nonempty("<results>/entity/data/{data}/audit.json"),
    log:
        "<logs>/entity_audit/{data}.log",
    benchmark:
        "<benchmarks>/entity_audit/{data}.jsonl"
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=scaled(2000),
        runtime=30,
    params:
        lib=lib("entity_audit"),
        layout=data_layout,
        expected=expected_counts,
    script:
        "../workflow/scripts/entity_audit.py"


# One stage after the other. Checkpoints lie beside the outputs, so an interrupted job goes on in the
# stage it was in.
rule entity_train:
    input:
        records=entity_stage_files("records.jsonl"),
        descriptions=entity_stage_files("description.json"),
        audits=ordering_only(entity_stage_files("audit.json")),
        model=ENTITY_RUNS.model_of_run,
        start_from=entity_origin_of,
    output:
        model=directory("<results>/entity/{run}/seed{seed}/model"),
        history=nonempty("<results>/entity/{run}/seed{seed}/history.csv"),
        training=nonempty("<results>/entity/{run}/seed{seed}/training.json"),
    log:
        "<logs>/entity_train/{run}/seed{seed}.log",
    benchmark:
        "<benchmarks>/entity_train/{run}/seed{seed}.jsonl"
    wildcard_constraints:
        run=one_of(ENTITY_TRAINED),
    conda:
        "../envs/text.yaml"
    threads: 8
    resources:
        mem_mb=scaled(16000),
        runtime=1440,
        gpu=1,
    params:
        lib=lib("entity_train"),
        recipe=ENTITY_RUNS.recipe("protocol", "seeds"),
        data=entity_stage_data,
        subset_seed=ENTITY["split"]["seed"],
        fold=fold_of,
    script:
        "../workflow/scripts/entity_train.py"


# The same without one fold of a cross-validation.
use rule entity_train as entity_train_fold with:
    output:
        model=directory("<results>/entity/{run}/seed{seed}/fold{fold}/model"),
        history=nonempty("<results>/entity/{run}/seed{seed}/fold{fold}/history.csv"),
        training=nonempty("<results>/entity/{run}/seed{seed}/fold{fold}/training.json"),
    log:
        "<logs>/entity_train/{run}/seed{seed}/fold{fold}.log",
    benchmark:
        "<benchmarks>/entity_train/{run}/seed{seed}/fold{fold}.jsonl"


rule entity_predict:
    input:
        trained="<results>/entity/{run}/seed{seed}/model",
        model=ENTITY_RUNS.model_of_run,
        records=ENTITY_RUNS.data_of_run("records.jsonl"),
        description=ENTITY_RUNS.data_of_run("description.json"),
    output:
        predictions=nonempty("<results>/entity/{run}/seed{seed}/predictions.parquet"),
    log:
        "<logs>/entity_predict/{run}/seed{seed}.log",
    benchmark:
        "<benchmarks>/entity_predict/{run}/seed{seed}.jsonl"
    wildcard_constraints:
        run=one_of(ENTITY_RUNS.without_folds(ENTITY_TRAINED)),
    conda:
        "../envs/text.yaml"
    threads: 8
    resources:
        mem_mb=scaled(8000),
        runtime=120,
        gpu=1,
    params:
        lib=lib("entity_predict"),
        corruption_seed=ENTITY["corruption_seed"],
        fold=fold_of,
    script:
        "../workflow/scripts/entity_predict.py"


use rule entity_predict as entity_predict_fold with:
    input:
        trained="<results>/entity/{run}/seed{seed}/fold{fold}/model",
        model=ENTITY_RUNS.model_of_run,
        records=ENTITY_RUNS.data_of_run("records.jsonl"),
        description=ENTITY_RUNS.data_of_run("description.json"),
    output:
        predictions=nonempty(
            "<results>/entity/{run}/seed{seed}/fold{fold}/predictions.parquet"
        ),
    log:
        "<logs>/entity_predict/{run}/seed{seed}/fold{fold}.log",
    benchmark:
        "<benchmarks>/entity_predict/{run}/seed{seed}/fold{fold}.jsonl"
    wildcard_constraints:
        run=one_of(ENTITY_RUNS.with_folds(ENTITY_TRAINED)),


# Every item was held out in one fold: the predictions of all folds are one table.
rule entity_pool:
    input:
        predictions=ENTITY_RUNS.of_folds("predictions.parquet"),
    output:
        predictions=nonempty("<results>/entity/{run}/seed{seed}/predictions.parquet"),
    log:
        "<logs>/entity_pool/{run}/seed{seed}.log",
    benchmark:
        "<benchmarks>/entity_pool/{run}/seed{seed}.jsonl"
    wildcard_constraints:
        run=one_of(ENTITY_RUNS.with_folds(ENTITY_TRAINED)),
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=scaled(1000),
        runtime=15,
    params:
        lib=lib("entity_pool"),
    script:
        "../workflow/scripts/entity_pool.py"


# What somebody else predicted, in the form of our own predictions.
rule entity_outside:
    input:
        table=ENTITY_RUNS.outside_files,
        records=ENTITY_RUNS.data_of_run("records.jsonl"),
        description=ENTITY_RUNS.data_of_run("description.json"),
    output:
        predictions=nonempty("<results>/entity/{run}/seed{seed}/predictions.parquet"),
        outside=nonempty("<results>/entity/{run}/seed{seed}/outside.json"),
    log:
        "<logs>/entity_outside/{run}/seed{seed}.log",
    benchmark:
        "<benchmarks>/entity_outside/{run}/seed{seed}.jsonl"
    wildcard_constraints:
        run=one_of(ENTITY_RUNS.of_method(OUTSIDE)),
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=scaled(2000),
        runtime=15,
    params:
        lib=lib("entity_outside"),
        recipe=ENTITY_RUNS.recipe("protocol", "seeds", "data"),
    script:
        "../workflow/scripts/entity_outside.py"


# Nothing is trained: a language model is asked for the class of each held-out span or text.
rule entity_prompt:
    input:
        records=ENTITY_RUNS.data_of_run("records.jsonl"),
        description=ENTITY_RUNS.data_of_run("description.json"),
        audit=ordering_only(ENTITY_RUNS.data_of_run("audit.json")),
        model=ENTITY_RUNS.model_of_run,
    output:
        predictions=nonempty("<results>/entity/{run}/seed{seed}/predictions.parquet"),
        outside=nonempty("<results>/entity/{run}/seed{seed}/outside.json"),
    log:
        "<logs>/entity_prompt/{run}/seed{seed}.log",
    benchmark:
        "<benchmarks>/entity_prompt/{run}/seed{seed}.jsonl"
    wildcard_constraints:
        run=one_of(ENTITY_PROMPTED),
    conda:
        "../envs/text.yaml"
    threads: 8
    resources:
        mem_mb=scaled(8000),
        runtime=240,
        gpu=1,
    params:
        lib=lib("entity_prompt"),
        recipe=ENTITY_RUNS.recipe("protocol", "seeds", "data"),
    script:
        "../workflow/scripts/entity_prompt.py"


# The same by an endpoint, where no model is needed here.
rule entity_prompt_endpoint:
    input:
        records=ENTITY_RUNS.data_of_run("records.jsonl"),
        description=ENTITY_RUNS.data_of_run("description.json"),
        audit=ordering_only(ENTITY_RUNS.data_of_run("audit.json")),
    output:
        predictions=nonempty("<results>/entity/{run}/seed{seed}/predictions.parquet"),
        outside=nonempty("<results>/entity/{run}/seed{seed}/outside.json"),
    log:
        "<logs>/entity_prompt_endpoint/{run}/seed{seed}.log",
    benchmark:
        "<benchmarks>/entity_prompt_endpoint/{run}/seed{seed}.jsonl"
    wildcard_constraints:
        run=one_of(ENTITY_ENDPOINTS),
    # It needs the network, which compute nodes seldom have.
    localrule: True
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=scaled(2000),
        runtime=240,
    params:
        lib=lib("entity_prompt"),
        recipe=ENTITY_RUNS.recipe("protocol", "seeds", "data"),
    script:
        "../workflow/scripts/entity_prompt.py"


rule entity_evaluate:
    input:
        predictions="<results>/entity/{run}/seed{seed}/predictions.parquet",
        records=ENTITY_RUNS.data_of_run("records.jsonl"),
        description=ENTITY_RUNS.data_of_run("description.json"),
        training=ENTITY_RUNS.of_trained("training.json"),
        trained=entity_scored_models,
        outside=ENTITY_RUNS.of_outside("outside.json"),
        audit=entity_audit_of_outside,
        subgroups=ENTITY_RUNS.subgroups_of_run,
        model=ENTITY_RUNS.model_of_run,
        metrics_schema=schema("metrics"),
        run_schema=schema("run"),
    output:
        **figure("<results>/entity/{run}/seed{seed}/figures/kappa"),
        **figure("<results>/entity/{run}/seed{seed}/figures/map"),
        **figure("<results>/entity/{run}/seed{seed}/figures/reliability"),
        metrics=nonempty("<results>/entity/{run}/seed{seed}/metrics.json"),
        run=nonempty("<results>/entity/{run}/seed{seed}/run.json"),
    log:
        "<logs>/entity_evaluate/{run}/seed{seed}.log",
    benchmark:
        "<benchmarks>/entity_evaluate/{run}/seed{seed}.jsonl"
    wildcard_constraints:
        run=one_of(ENTITY_TRAINED),
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=scaled(4000),
        runtime=120,
    params:
        lib=lib("entity_evaluate"),
        recipe=ENTITY_RUNS.recipe("seeds"),
        bootstrap=ENTITY["bootstrap"],
    script:
        "../workflow/scripts/entity_evaluate.py"


# The same for predictions of somebody else, which have no embedding to draw.
use rule entity_evaluate as entity_evaluate_outside with:
    output:
        metrics=nonempty("<results>/entity/{run}/seed{seed}/metrics.json"),
        run=nonempty("<results>/entity/{run}/seed{seed}/run.json"),
    log:
        "<logs>/entity_evaluate_outside/{run}/seed{seed}.log",
    benchmark:
        "<benchmarks>/entity_evaluate_outside/{run}/seed{seed}.jsonl"
    wildcard_constraints:
        run=one_of(ENTITY_OUTSIDE),


rule entity_updates:
    input:
        metrics=ENTITY_RUNS.results("metrics.json", ENTITY_TRAINED),
        history=ENTITY_RUNS.results("history.csv", ENTITY_TRAINED),
    output:
        **figure("<results>/entity/figures/updates"),
    log:
        "<logs>/entity_updates.log",
    benchmark:
        "<benchmarks>/entity_updates.jsonl"
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=scaled(2000),
        runtime=30,
    params:
        lib=lib("entity_updates"),
    script:
        "../workflow/scripts/entity_updates.py"


rule entity_compare:
    input:
        metrics=ENTITY_RUNS.results("metrics.json"),
        predictions=ENTITY_RUNS.results("predictions.parquet"),
        trained=entity_compared_models,
        records=ENTITY_RUNS.data_files("records.jsonl"),
        descriptions=ENTITY_RUNS.data_files("description.json"),
        schema=schema("comparison"),
    output:
        comparison=nonempty("<results>/entity/comparison.json"),
    log:
        "<logs>/entity_compare.log",
    benchmark:
        "<benchmarks>/entity_compare.jsonl"
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=scaled(4000),
        runtime=240,
    params:
        lib=lib("entity_compare"),
        data=ENTITY_RUNS.data,
        models=entity_numbers_of_models,
        bootstrap=ENTITY["bootstrap"],
    script:
        "../workflow/scripts/entity_compare.py"


rule entity_card:
    input:
        metrics="<results>/entity/{run}/seed{seed}/metrics.json",
        audits=entity_card_audits,
    output:
        card=nonempty("<results>/entity/{run}/seed{seed}/model_card.md"),
        example=nonempty("<results>/entity/{run}/seed{seed}/inference_example.py"),
        licence=nonempty("<results>/entity/{run}/seed{seed}/LICENSE.md"),
    log:
        "<logs>/entity_card/{run}/seed{seed}.log",
    benchmark:
        "<benchmarks>/entity_card/{run}/seed{seed}.jsonl"
    wildcard_constraints:
        run=one_of(ENTITY_TRAINED),
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=scaled(1000),
        runtime=15,
    params:
        lib=lib("entity_card"),
        recipe=ENTITY_RUNS.recipe("seeds"),
        datasets=entity_dataset_entries,
        model=ENTITY_RUNS.model_entry,
    script:
        "../workflow/scripts/entity_card.py"
