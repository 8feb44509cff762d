# The emotion experiment: one class or several of each text, or numbers such as valence.
#
# REQUIRED INPUTS:
#   <resources>/raw/{data}/manifest.json, <resources>/models/{model}/manifest.json
# OUTPUTS:
#   <results>/emotion/data/{data}/     records, description, quarantine, audit, label noise
#   <results>/emotion/{run}/seed{seed}/     model, predictions, metrics, figures, card, export
#   <results>/emotion/comparison.json     seeds together, runs against each other
# STEPS: convert -> audit, noise; train (or tfidf) -> predict -> evaluate -> card, export, compare


include: "emotion_common.smk"


# Of the rules from here on to the next such block.
wildcard_constraints:
    run=one_of(EMOTION["runs"]),


rule emotion_convert:
    input:
        manifest="<resources>/raw/{data}/manifest.json",
        listed=listed_items,
        exclude=exclusion_file,
    output:
        records=nonempty("<results>/emotion/data/{data}/records.jsonl"),
        quarantine="<results>/emotion/data/{data}/quarantine.jsonl",
        description=nonempty("<results>/emotion/data/{data}/description.json"),
    log:
        "<logs>/emotion_convert/{data}.log",
    benchmark:
        "<benchmarks>/emotion_convert/{data}.jsonl"
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=scaled(2000),
        runtime=30,
    params:
        lib=lib("emotion_convert"),
        entry=reading_part,
        exclude=exclusion_digests,
        on_bad_record=config["on_bad_record"],
        similar_names=config["similar_names"],
    script:
        "../workflow/scripts/emotion_convert.py"


rule emotion_audit:
    input:
        records="<results>/emotion/data/{data}/records.jsonl",
        description="<results>/emotion/data/{data}/description.json",
        quarantine="<results>/emotion/data/{data}/quarantine.jsonl",
        manifest="<resources>/raw/{data}/manifest.json",
    output:
        audit=nonempty("<results>/emotion/data/{data}/audit.json"),
    log:
        "<logs>/emotion_audit/{data}.log",
    benchmark:
        "<benchmarks>/emotion_audit/{data}.jsonl"
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=scaled(2000),
        runtime=30,
    params:
        lib=lib("emotion_audit"),
        expected=expected_counts,
    script:
        "../workflow/scripts/emotion_audit.py"


rule emotion_noise:
    input:
        records="<results>/emotion/data/{data}/records.jsonl",
        description="<results>/emotion/data/{data}/description.json",
        audit=ordering_only("<results>/emotion/data/{data}/audit.json"),
    output:
        summary=nonempty("<results>/emotion/data/{data}/label_noise.json"),
        table=nonempty("<results>/emotion/data/{data}/label_noise.csv"),
    log:
        "<logs>/emotion_noise/{data}.log",
    benchmark:
        "<benchmarks>/emotion_noise/{data}.jsonl"
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=scaled(4000),
        runtime=60,
    params:
        lib=lib("emotion_noise"),
        folds=EMOTION["label_noise"]["folds"],
        seed=EMOTION["label_noise"]["seed"],
    script:
        "../workflow/scripts/emotion_noise.py"


# Fine-tunes a pretrained network, whole or by adapters. Checkpoints lie beside the outputs, so an
# interrupted job goes on where it was.
rule emotion_train:
    input:
        records=EMOTION_RUNS.data_of_run("records.jsonl"),
        description=EMOTION_RUNS.data_of_run("description.json"),
        audit=ordering_only(EMOTION_RUNS.data_of_run("audit.json")),
        model=EMOTION_RUNS.model_of_run,
    output:
        model=directory("<results>/emotion/{run}/seed{seed}/model"),
        history=nonempty("<results>/emotion/{run}/seed{seed}/history.csv"),
        training=nonempty("<results>/emotion/{run}/seed{seed}/training.json"),
    log:
        "<logs>/emotion_train/{run}/seed{seed}.log",
    benchmark:
        "<benchmarks>/emotion_train/{run}/seed{seed}.jsonl"
    wildcard_constraints:
        run=one_of(EMOTION_NETWORKS),
    conda:
        "../envs/text.yaml"
    threads: 8
    resources:
        mem_mb=scaled(16000),
        runtime=1440,
        gpu=1,
    params:
        lib=lib("emotion_train"),
        recipe=EMOTION_RUNS.recipe("protocol", "seeds", "data"),
        fold=fold_of,
    script:
        "../workflow/scripts/emotion_train.py"


# The same without one fold of a cross-validation.
use rule emotion_train as emotion_train_fold with:
    output:
        model=directory("<results>/emotion/{run}/seed{seed}/fold{fold}/model"),
        history=nonempty("<results>/emotion/{run}/seed{seed}/fold{fold}/history.csv"),
        training=nonempty("<results>/emotion/{run}/seed{seed}/fold{fold}/training.json"),
    log:
        "<logs>/emotion_train/{run}/seed{seed}/fold{fold}.log",
    benchmark:
        "<benchmarks>/emotion_train/{run}/seed{seed}/fold{fold}.jsonl"


rule emotion_predict:
    input:
        model="<results>/emotion/{run}/seed{seed}/model",
        records=EMOTION_RUNS.data_of_run("records.jsonl"),
        description=EMOTION_RUNS.data_of_run("description.json"),
    output:
        predictions=nonempty("<results>/emotion/{run}/seed{seed}/predictions.jsonl"),
    log:
        "<logs>/emotion_predict/{run}/seed{seed}.log",
    benchmark:
        "<benchmarks>/emotion_predict/{run}/seed{seed}.jsonl"
    wildcard_constraints:
        run=one_of(EMOTION_RUNS.without_folds(EMOTION_NETWORKS)),
    conda:
        "../envs/text.yaml"
    threads: 8
    resources:
        mem_mb=scaled(8000),
        runtime=120,
        gpu=1,
    params:
        lib=lib("emotion_predict"),
        splits=["validation", "test"],
        fold=fold_of,
    script:
        "../workflow/scripts/emotion_predict.py"


use rule emotion_predict as emotion_predict_fold with:
    input:
        model="<results>/emotion/{run}/seed{seed}/fold{fold}/model",
        records=EMOTION_RUNS.data_of_run("records.jsonl"),
        description=EMOTION_RUNS.data_of_run("description.json"),
    output:
        predictions=nonempty(
            "<results>/emotion/{run}/seed{seed}/fold{fold}/predictions.jsonl"
        ),
    log:
        "<logs>/emotion_predict/{run}/seed{seed}/fold{fold}.log",
    benchmark:
        "<benchmarks>/emotion_predict/{run}/seed{seed}/fold{fold}.jsonl"
    wildcard_constraints:
        run=one_of(EMOTION_RUNS.with_folds(EMOTION_NETWORKS)),


# Every item was held out in one fold: the predictions of all folds are one table.
rule emotion_pool:
    input:
        predictions=EMOTION_RUNS.of_folds("predictions.jsonl"),
    output:
        predictions=nonempty("<results>/emotion/{run}/seed{seed}/predictions.jsonl"),
    log:
        "<logs>/emotion_pool/{run}/seed{seed}.log",
    benchmark:
        "<benchmarks>/emotion_pool/{run}/seed{seed}.jsonl"
    wildcard_constraints:
        run=one_of(EMOTION_RUNS.with_folds(EMOTION_NETWORKS)),
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=scaled(1000),
        runtime=15,
    params:
        lib=lib("emotion_pool"),
    script:
        "../workflow/scripts/emotion_pool.py"


# Word counts and logistic regression: trains and predicts in seconds, without torch.
rule emotion_tfidf:
    input:
        records=EMOTION_RUNS.data_of_run("records.jsonl"),
        description=EMOTION_RUNS.data_of_run("description.json"),
        audit=ordering_only(EMOTION_RUNS.data_of_run("audit.json")),
    output:
        model=directory("<results>/emotion/{run}/seed{seed}/model"),
        history=nonempty("<results>/emotion/{run}/seed{seed}/history.csv"),
        training=nonempty("<results>/emotion/{run}/seed{seed}/training.json"),
        predictions=nonempty("<results>/emotion/{run}/seed{seed}/predictions.jsonl"),
    log:
        "<logs>/emotion_tfidf/{run}/seed{seed}.log",
    benchmark:
        "<benchmarks>/emotion_tfidf/{run}/seed{seed}.jsonl"
    wildcard_constraints:
        run=one_of(EMOTION_TFIDF),
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=scaled(4000),
        runtime=60,
    params:
        lib=lib("emotion_tfidf"),
        recipe=EMOTION_RUNS.recipe("protocol", "seeds", "data"),
        splits=["validation", "test"],
    script:
        "../workflow/scripts/emotion_tfidf.py"


# What somebody else predicted, as our own predictions are stored.
rule emotion_outside:
    input:
        table=EMOTION_RUNS.outside_files,
        records=EMOTION_RUNS.data_of_run("records.jsonl"),
        description=EMOTION_RUNS.data_of_run("description.json"),
    output:
        predictions=nonempty("<results>/emotion/{run}/seed{seed}/predictions.jsonl"),
        outside=nonempty("<results>/emotion/{run}/seed{seed}/outside.json"),
    log:
        "<logs>/emotion_outside/{run}/seed{seed}.log",
    benchmark:
        "<benchmarks>/emotion_outside/{run}/seed{seed}.jsonl"
    wildcard_constraints:
        run=one_of(EMOTION_RUNS.of_method(OUTSIDE)),
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=scaled(2000),
        runtime=15,
    params:
        lib=lib("emotion_outside"),
        recipe=EMOTION_RUNS.recipe("protocol", "seeds", "data"),
    script:
        "../workflow/scripts/emotion_outside.py"


# Nothing is trained: a language model is asked for the class of each held-out text.
rule emotion_prompt:
    input:
        records=EMOTION_RUNS.data_of_run("records.jsonl"),
        description=EMOTION_RUNS.data_of_run("description.json"),
        audit=ordering_only(EMOTION_RUNS.data_of_run("audit.json")),
        model=EMOTION_RUNS.model_of_run,
    output:
        predictions=nonempty("<results>/emotion/{run}/seed{seed}/predictions.jsonl"),
        outside=nonempty("<results>/emotion/{run}/seed{seed}/outside.json"),
    log:
        "<logs>/emotion_prompt/{run}/seed{seed}.log",
    benchmark:
        "<benchmarks>/emotion_prompt/{run}/seed{seed}.jsonl"
    wildcard_constraints:
        run=one_of(EMOTION_PROMPTED),
    conda:
        "../envs/text.yaml"
    threads: 8
    resources:
        mem_mb=scaled(8000),
        runtime=240,
        gpu=1,
    params:
        lib=lib("emotion_prompt"),
        recipe=EMOTION_RUNS.recipe("protocol", "seeds", "data"),
    script:
        "../workflow/scripts/emotion_prompt.py"


# The same by an endpoint, where no model is needed here.
rule emotion_prompt_endpoint:
    input:
        records=EMOTION_RUNS.data_of_run("records.jsonl"),
        description=EMOTION_RUNS.data_of_run("description.json"),
        audit=ordering_only(EMOTION_RUNS.data_of_run("audit.json")),
    output:
        predictions=nonempty("<results>/emotion/{run}/seed{seed}/predictions.jsonl"),
        outside=nonempty("<results>/emotion/{run}/seed{seed}/outside.json"),
    log:
        "<logs>/emotion_prompt_endpoint/{run}/seed{seed}.log",
    benchmark:
        "<benchmarks>/emotion_prompt_endpoint/{run}/seed{seed}.jsonl"
    wildcard_constraints:
        run=one_of(EMOTION_ENDPOINTS),
    # It needs the network, which compute nodes seldom have.
    localrule: True
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=scaled(2000),
        runtime=240,
    params:
        lib=lib("emotion_prompt"),
        recipe=EMOTION_RUNS.recipe("protocol", "seeds", "data"),
    script:
        "../workflow/scripts/emotion_prompt.py"


# What a text classifier from elsewhere predicts, without training.
rule emotion_pretrained:
    input:
        model=EMOTION_RUNS.model_of_run,
        records=EMOTION_RUNS.data_of_run("records.jsonl"),
        description=EMOTION_RUNS.data_of_run("description.json"),
    output:
        predictions=nonempty("<results>/emotion/{run}/seed{seed}/predictions.jsonl"),
        outside=nonempty("<results>/emotion/{run}/seed{seed}/outside.json"),
    log:
        "<logs>/emotion_pretrained/{run}/seed{seed}.log",
    benchmark:
        "<benchmarks>/emotion_pretrained/{run}/seed{seed}.jsonl"
    wildcard_constraints:
        run=one_of(EMOTION_RUNS.of_method("pretrained")),
    conda:
        "../envs/text.yaml"
    threads: 8
    resources:
        mem_mb=scaled(8000),
        runtime=120,
        gpu=1,
    params:
        lib=lib("emotion_pretrained"),
        recipe=EMOTION_RUNS.recipe("protocol", "seeds", "data"),
        hub_ids=EMOTION_RUNS.hub_ids,
    script:
        "../workflow/scripts/emotion_pretrained.py"


# Scores, intervals, calibration, figures. Also judges against the baseline run on the same items.
rule emotion_evaluate:
    input:
        predictions="<results>/emotion/{run}/seed{seed}/predictions.jsonl",
        training=EMOTION_RUNS.of_trained("training.json"),
        outside=EMOTION_RUNS.of_outside("outside.json"),
        records=EMOTION_RUNS.data_of_run("records.jsonl"),
        description=EMOTION_RUNS.data_of_run("description.json"),
        audit=EMOTION_RUNS.data_of_run("audit.json"),
        model=EMOTION_RUNS.model_of_run,
        baseline=emotion_baseline_of,
        subgroups=EMOTION_RUNS.subgroups_of_run,
        metrics_schema=schema("metrics"),
        run_schema=schema("run"),
    output:
        **figure("<results>/emotion/{run}/seed{seed}/figures/confusion_matrix"),
        **figure("<results>/emotion/{run}/seed{seed}/figures/reliability"),
        metrics=nonempty("<results>/emotion/{run}/seed{seed}/metrics.json"),
        run=nonempty("<results>/emotion/{run}/seed{seed}/run.json"),
        text=nonempty("<results>/emotion/{run}/seed{seed}/evaluation_results.txt"),
    log:
        "<logs>/emotion_evaluate/{run}/seed{seed}.log",
    benchmark:
        "<benchmarks>/emotion_evaluate/{run}/seed{seed}.jsonl"
    wildcard_constraints:
        run=one_of(set(emotion_runs_on("class")) - set(EMOTION_OUTSIDE)),
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=scaled(4000),
        runtime=60,
    params:
        lib=lib("emotion_evaluate"),
        recipe=EMOTION_RUNS.recipe("seeds"),
        bootstrap=EMOTION["bootstrap"],
        baseline=EMOTION_BASELINE,
    script:
        "../workflow/scripts/emotion_evaluate.py"


# The same where numbers are predicted.
use rule emotion_evaluate as emotion_evaluate_numbers with:
    output:
        **figure("<results>/emotion/{run}/seed{seed}/figures/predicted_values"),
        metrics=nonempty("<results>/emotion/{run}/seed{seed}/metrics.json"),
        run=nonempty("<results>/emotion/{run}/seed{seed}/run.json"),
        text=nonempty("<results>/emotion/{run}/seed{seed}/evaluation_results.txt"),
    log:
        "<logs>/emotion_evaluate_numbers/{run}/seed{seed}.log",
    benchmark:
        "<benchmarks>/emotion_evaluate_numbers/{run}/seed{seed}.jsonl"
    wildcard_constraints:
        run=one_of(emotion_runs_on("numbers")),


# The same where a text may have several classes.
use rule emotion_evaluate as emotion_evaluate_multilabel with:
    output:
        **figure("<results>/emotion/{run}/seed{seed}/figures/precision_recall"),
        metrics=nonempty("<results>/emotion/{run}/seed{seed}/metrics.json"),
        run=nonempty("<results>/emotion/{run}/seed{seed}/run.json"),
        text=nonempty("<results>/emotion/{run}/seed{seed}/evaluation_results.txt"),
    log:
        "<logs>/emotion_evaluate_multilabel/{run}/seed{seed}.log",
    benchmark:
        "<benchmarks>/emotion_evaluate_multilabel/{run}/seed{seed}.jsonl"
    wildcard_constraints:
        run=one_of(emotion_runs_on("classes")),


# The same for predictions of somebody else, which may have no probabilities.
use rule emotion_evaluate as emotion_evaluate_outside with:
    output:
        **figure("<results>/emotion/{run}/seed{seed}/figures/confusion_matrix"),
        metrics=nonempty("<results>/emotion/{run}/seed{seed}/metrics.json"),
        run=nonempty("<results>/emotion/{run}/seed{seed}/run.json"),
        text=nonempty("<results>/emotion/{run}/seed{seed}/evaluation_results.txt"),
    log:
        "<logs>/emotion_evaluate_outside/{run}/seed{seed}.log",
    benchmark:
        "<benchmarks>/emotion_evaluate_outside/{run}/seed{seed}.jsonl"
    wildcard_constraints:
        run=one_of(set(EMOTION_OUTSIDE) & set(emotion_runs_on("class"))),


# Seeds of a run together, and every run against every other on the same items.
rule emotion_compare:
    input:
        metrics=EMOTION_RUNS.results("metrics.json"),
        predictions=EMOTION_RUNS.results("predictions.jsonl"),
        records=EMOTION_RUNS.data_files("records.jsonl"),
        descriptions=EMOTION_RUNS.data_files("description.json"),
        schema=schema("comparison"),
    output:
        comparison=nonempty("<results>/emotion/comparison.json"),
    log:
        "<logs>/emotion_compare.log",
    benchmark:
        "<benchmarks>/emotion_compare.jsonl"
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=scaled(4000),
        runtime=60,
    params:
        lib=lib("emotion_compare"),
        data=EMOTION_RUNS.data,
        baseline=EMOTION_BASELINE_RUN,
        bootstrap=EMOTION["bootstrap"],
    script:
        "../workflow/scripts/emotion_compare.py"


# The card that goes with a model, and a program of a few lines that uses it.
rule emotion_card:
    input:
        metrics="<results>/emotion/{run}/seed{seed}/metrics.json",
        audit=EMOTION_RUNS.data_of_run("audit.json"),
        export=emotion_export_of,
    output:
        card=nonempty("<results>/emotion/{run}/seed{seed}/model_card.md"),
        example=nonempty("<results>/emotion/{run}/seed{seed}/inference_example.py"),
        licence=nonempty("<results>/emotion/{run}/seed{seed}/LICENSE.md"),
    log:
        "<logs>/emotion_card/{run}/seed{seed}.log",
    benchmark:
        "<benchmarks>/emotion_card/{run}/seed{seed}.jsonl"
    wildcard_constraints:
        run=one_of(EMOTION_NETWORKS + EMOTION_TFIDF),
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=scaled(1000),
        runtime=15,
    params:
        lib=lib("emotion_card"),
        recipe=EMOTION_RUNS.recipe("seeds"),
        dataset=EMOTION_RUNS.dataset_entry,
        model=EMOTION_RUNS.model_entry,
    script:
        "../workflow/scripts/emotion_card.py"


# ONNX and int8, with accuracy and latency before and after. On the CPU, which is what they are for.
rule emotion_export:
    input:
        model="<results>/emotion/{run}/seed{seed}/model",
        base=EMOTION_RUNS.model_of_run,
        records=EMOTION_RUNS.data_of_run("records.jsonl"),
        description=EMOTION_RUNS.data_of_run("description.json"),
    output:
        onnx=nonempty("<results>/emotion/{run}/seed{seed}/export/model.onnx"),
        int8=nonempty("<results>/emotion/{run}/seed{seed}/export/model.int8.onnx"),
        summary=nonempty("<results>/emotion/{run}/seed{seed}/export/export.json"),
    log:
        "<logs>/emotion_export/{run}/seed{seed}.log",
    benchmark:
        "<benchmarks>/emotion_export/{run}/seed{seed}.jsonl"
    wildcard_constraints:
        run=one_of(EMOTION_NETWORKS),
    conda:
        "../envs/text.yaml"
    threads: 4
    resources:
        mem_mb=scaled(8000),
        runtime=120,
    params:
        lib=lib("emotion_export"),
        max_length=lambda wildcards: EMOTION["runs"][wildcards.run]["max_length"],
    script:
        "../workflow/scripts/emotion_export.py"
