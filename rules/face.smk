# The face experiment: classes of face images and, of FER2013, the proxies published as "IQ" and "EQ".
#
# REQUIRED INPUTS:
#   <resources>/raw/{data}/manifest.json, <resources>/models/{model}/manifest.json
# OUTPUTS:
#   <results>/face/data/{data}/         faces.npy, tables, description, quarantine, audit; of
#                                       FER2013 the proxy labels and their check
#   <results>/face/{run}/seed{seed}/    model, predictions, metrics, blur test, figures, card, export
#   <results>/face/comparison.json      seeds together, runs against each other
# STEPS: convert -> audit -> label -> check_labels -> train -> predict, blur -> evaluate -> card;
#   export, compare


include: "face_common.smk"


# Of the rules from here on to the next such block.
wildcard_constraints:
    run=one_of(FACE["runs"]),


rule face_convert:
    input:
        manifest="<resources>/raw/{data}/manifest.json",
        votes=face_votes_of,
        listed=listed_items,
        exclude=exclusion_file,
    output:
        faces=nonempty("<results>/face/data/{data}/faces.npy"),
        metadata=nonempty("<results>/face/data/{data}/metadata.csv"),
        quarantine="<results>/face/data/{data}/quarantine.jsonl",
        description=nonempty("<results>/face/data/{data}/description.json"),
    log:
        "<logs>/face_convert/{data}.log",
    benchmark:
        "<benchmarks>/face_convert/{data}.jsonl"
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=scaled(4000),
        runtime=60,
    params:
        lib=lib("face_convert"),
        entry=reading_part,
        exclude=exclusion_digests,
        on_bad_record=config["on_bad_record"],
        similar_names=config["similar_names"],
    script:
        "../workflow/scripts/face_convert.py"


rule face_audit:
    input:
        faces="<results>/face/data/{data}/faces.npy",
        metadata="<results>/face/data/{data}/metadata.csv",
        description="<results>/face/data/{data}/description.json",
        quarantine="<results>/face/data/{data}/quarantine.jsonl",
        manifest="<resources>/raw/{data}/manifest.json",
    output:
        audit=nonempty("<results>/face/data/{data}/audit.json"),
    log:
        "<logs>/face_audit/{data}.log",
    benchmark:
        "<benchmarks>/face_audit/{data}.jsonl"
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=scaled(4000),
        runtime=60,
    params:
        lib=lib("face_audit"),
        required_splits=["train", *FACE_SPLITS],
        expected=expected_counts,
    script:
        "../workflow/scripts/face_audit.py"


rule face_label:
    input:
        faces="<results>/face/data/{data}/faces.npy",
        metadata="<results>/face/data/{data}/metadata.csv",
        audit=ordering_only("<results>/face/data/{data}/audit.json"),
    output:
        labels=nonempty("<results>/face/data/{data}/metadata_with_labels.csv"),
    log:
        "<logs>/face_label/{data}.log",
    benchmark:
        "<benchmarks>/face_label/{data}.jsonl"
    wildcard_constraints:
        data=one_of(filter(has_proxies, REGISTRIES.datasets)),
    conda:
        "../envs/data.yaml"
    threads: 2
    resources:
        mem_mb=scaled(2000),
        runtime=30,
    params:
        lib=lib("face_label"),
        labels=face_labels("formulas", "affect"),
    script:
        "../workflow/scripts/face_label.py"


rule face_check_labels:
    input:
        labels="<results>/face/data/{data}/metadata_with_labels.csv",
        faces="<results>/face/data/{data}/faces.npy",
        metadata="<results>/face/data/{data}/metadata.csv",
    output:
        **figure("<results>/face/data/{data}/labels"),
        check=nonempty("<results>/face/data/{data}/label_check.json"),
    log:
        "<logs>/face_check_labels/{data}.log",
    benchmark:
        "<benchmarks>/face_check_labels/{data}.jsonl"
    wildcard_constraints:
        data=one_of(filter(has_proxies, REGISTRIES.datasets)),
    conda:
        "../envs/data.yaml"
    threads: 2
    resources:
        mem_mb=scaled(2000),
        runtime=30,
    params:
        lib=lib("face_check_labels"),
        labels=face_labels("formulas", "affect", "max_missing_share"),
    script:
        "../workflow/scripts/face_check_labels.py"


# Checkpoints lie beside the outputs, so an interrupted job goes on where it was.
rule face_train:
    input:
        faces=FACE_RUNS.data_of_run("faces.npy"),
        metadata=FACE_RUNS.data_of_run("metadata.csv"),
        description=FACE_RUNS.data_of_run("description.json"),
        labels=face_proxies_of_run("metadata_with_labels.csv"),
        audit=ordering_only(FACE_RUNS.data_of_run("audit.json")),
        check=ordering_only(face_proxies_of_run("label_check.json")),
        model=FACE_RUNS.model_of_run,
    output:
        model=directory("<results>/face/{run}/seed{seed}/model"),
        history=nonempty("<results>/face/{run}/seed{seed}/history.csv"),
        training=nonempty("<results>/face/{run}/seed{seed}/training.json"),
    log:
        "<logs>/face_train/{run}/seed{seed}.log",
    benchmark:
        "<benchmarks>/face_train/{run}/seed{seed}.jsonl"
    wildcard_constraints:
        run=one_of(FACE_NETWORKS),
    conda:
        "../envs/vision.yaml"
    threads: 8
    resources:
        mem_mb=scaled(8000),
        runtime=1440,
        gpu=1,
    params:
        lib=lib("face_train"),
        recipe=FACE_RUNS.recipe("protocol", "seeds", "data"),
        fold=fold_of,
    script:
        "../workflow/scripts/face_train.py"


# The same without one fold of a cross-validation.
use rule face_train as face_train_fold with:
    output:
        model=directory("<results>/face/{run}/seed{seed}/fold{fold}/model"),
        history=nonempty("<results>/face/{run}/seed{seed}/fold{fold}/history.csv"),
        training=nonempty("<results>/face/{run}/seed{seed}/fold{fold}/training.json"),
    log:
        "<logs>/face_train/{run}/seed{seed}/fold{fold}.log",
    benchmark:
        "<benchmarks>/face_train/{run}/seed{seed}/fold{fold}.jsonl"


rule face_predict:
    input:
        model="<results>/face/{run}/seed{seed}/model",
        faces=FACE_RUNS.data_of_run("faces.npy"),
        metadata=FACE_RUNS.data_of_run("metadata.csv"),
        description=FACE_RUNS.data_of_run("description.json"),
    output:
        predictions=nonempty("<results>/face/{run}/seed{seed}/predictions.jsonl"),
    log:
        "<logs>/face_predict/{run}/seed{seed}.log",
    benchmark:
        "<benchmarks>/face_predict/{run}/seed{seed}.jsonl"
    wildcard_constraints:
        run=one_of(FACE_RUNS.without_folds(FACE_NETWORKS)),
    conda:
        "../envs/vision.yaml"
    threads: 8
    resources:
        mem_mb=scaled(8000),
        runtime=60,
        gpu=1,
    params:
        lib=lib("face_predict"),
        splits=FACE_SPLITS,
        fold=fold_of,
    script:
        "../workflow/scripts/face_predict.py"


use rule face_predict as face_predict_fold with:
    input:
        model="<results>/face/{run}/seed{seed}/fold{fold}/model",
        faces=FACE_RUNS.data_of_run("faces.npy"),
        metadata=FACE_RUNS.data_of_run("metadata.csv"),
        description=FACE_RUNS.data_of_run("description.json"),
    output:
        predictions=nonempty(
            "<results>/face/{run}/seed{seed}/fold{fold}/predictions.jsonl"
        ),
    log:
        "<logs>/face_predict/{run}/seed{seed}/fold{fold}.log",
    benchmark:
        "<benchmarks>/face_predict/{run}/seed{seed}/fold{fold}.jsonl"
    wildcard_constraints:
        run=one_of(FACE_RUNS.with_folds(FACE_NETWORKS)),


# Every image was held out in one fold: the predictions of all folds are one table.
rule face_pool:
    input:
        predictions=FACE_RUNS.of_folds("predictions.jsonl"),
    output:
        predictions=nonempty("<results>/face/{run}/seed{seed}/predictions.jsonl"),
    log:
        "<logs>/face_pool/{run}/seed{seed}.log",
    benchmark:
        "<benchmarks>/face_pool/{run}/seed{seed}.jsonl"
    wildcard_constraints:
        run=one_of(FACE_RUNS.with_folds(FACE_NETWORKS)),
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=scaled(1000),
        runtime=15,
    params:
        lib=lib("face_pool"),
    script:
        "../workflow/scripts/face_pool.py"


# The same faces with worse pictures: what the two indices follow.
rule face_blur:
    input:
        model="<results>/face/{run}/seed{seed}/model",
        faces=FACE_RUNS.data_of_run("faces.npy"),
        metadata=FACE_RUNS.data_of_run("metadata.csv"),
    output:
        **figure("<results>/face/{run}/seed{seed}/figures/blur_test"),
        result=nonempty("<results>/face/{run}/seed{seed}/blur.json"),
    log:
        "<logs>/face_blur/{run}/seed{seed}.log",
    benchmark:
        "<benchmarks>/face_blur/{run}/seed{seed}.jsonl"
    wildcard_constraints:
        run=one_of(set(face_runs_with_proxies()) - set(FACE_OUTSIDE)),
    conda:
        "../envs/vision.yaml"
    threads: 4
    resources:
        mem_mb=scaled(8000),
        runtime=60,
    params:
        lib=lib("face_blur"),
        labels=face_labels("formulas", "affect"),
        blur_test=FACE["blur_test"],
        split=FACE["result_split"],
    script:
        "../workflow/scripts/face_blur.py"


# What somebody else predicted, as our own predictions are stored.
rule face_outside:
    input:
        table=FACE_RUNS.outside_files,
        faces=FACE_RUNS.data_of_run("faces.npy"),
        metadata=FACE_RUNS.data_of_run("metadata.csv"),
        description=FACE_RUNS.data_of_run("description.json"),
        labels=face_proxies_of_run("metadata_with_labels.csv"),
    output:
        predictions=nonempty("<results>/face/{run}/seed{seed}/predictions.jsonl"),
        outside=nonempty("<results>/face/{run}/seed{seed}/outside.json"),
    log:
        "<logs>/face_outside/{run}/seed{seed}.log",
    benchmark:
        "<benchmarks>/face_outside/{run}/seed{seed}.jsonl"
    wildcard_constraints:
        run=one_of(FACE_RUNS.of_method(OUTSIDE)),
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=scaled(4000),
        runtime=15,
    params:
        lib=lib("face_outside"),
        recipe=FACE_RUNS.recipe("protocol", "seeds", "data"),
        result_split=FACE["result_split"],
    script:
        "../workflow/scripts/face_outside.py"


# What an image classifier from elsewhere predicts, without training.
rule face_pretrained:
    input:
        model=FACE_RUNS.model_of_run,
        faces=FACE_RUNS.data_of_run("faces.npy"),
        metadata=FACE_RUNS.data_of_run("metadata.csv"),
        description=FACE_RUNS.data_of_run("description.json"),
        labels=face_proxies_of_run("metadata_with_labels.csv"),
    output:
        predictions=nonempty("<results>/face/{run}/seed{seed}/predictions.jsonl"),
        outside=nonempty("<results>/face/{run}/seed{seed}/outside.json"),
    log:
        "<logs>/face_pretrained/{run}/seed{seed}.log",
    benchmark:
        "<benchmarks>/face_pretrained/{run}/seed{seed}.jsonl"
    wildcard_constraints:
        run=one_of(FACE_RUNS.of_method("pretrained")),
    conda:
        "../envs/vision.yaml"
    threads: 8
    resources:
        mem_mb=scaled(8000),
        runtime=120,
        gpu=1,
    params:
        lib=lib("face_pretrained"),
        recipe=FACE_RUNS.recipe("protocol", "seeds", "data"),
        result_split=FACE["result_split"],
        hub_ids=FACE_RUNS.hub_ids,
    script:
        "../workflow/scripts/face_pretrained.py"


# Scores, intervals, calibration, figures.
rule face_evaluate:
    input:
        predictions="<results>/face/{run}/seed{seed}/predictions.jsonl",
        training=FACE_RUNS.of_trained("training.json"),
        outside=FACE_RUNS.of_outside("outside.json"),
        blur=face_blur_of,
        faces=FACE_RUNS.data_of_run("faces.npy"),
        metadata=FACE_RUNS.data_of_run("metadata.csv"),
        description=FACE_RUNS.data_of_run("description.json"),
        labels=face_proxies_of_run("metadata_with_labels.csv"),
        audit=FACE_RUNS.data_of_run("audit.json"),
        model=FACE_RUNS.model_of_run,
        subgroups=FACE_RUNS.subgroups_of_run,
        metrics_schema=schema("metrics"),
        run_schema=schema("run"),
    output:
        **figure("<results>/face/{run}/seed{seed}/figures/confusion_matrix"),
        **figure("<results>/face/{run}/seed{seed}/figures/reliability"),
        **figure("<results>/face/{run}/seed{seed}/figures/outputs"),
        metrics=nonempty("<results>/face/{run}/seed{seed}/metrics.json"),
        run=nonempty("<results>/face/{run}/seed{seed}/run.json"),
    log:
        "<logs>/face_evaluate/{run}/seed{seed}.log",
    benchmark:
        "<benchmarks>/face_evaluate/{run}/seed{seed}.jsonl"
    wildcard_constraints:
        run=one_of(FACE_NETWORKS),
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=scaled(4000),
        runtime=60,
    params:
        lib=lib("face_evaluate"),
        recipe=FACE_RUNS.recipe("seeds"),
        result_split=FACE["result_split"],
        bootstrap=FACE["bootstrap"],
    script:
        "../workflow/scripts/face_evaluate.py"


# The same for predictions of somebody else, which may have no probabilities.
use rule face_evaluate as face_evaluate_outside with:
    output:
        **figure("<results>/face/{run}/seed{seed}/figures/confusion_matrix"),
        **figure("<results>/face/{run}/seed{seed}/figures/outputs"),
        metrics=nonempty("<results>/face/{run}/seed{seed}/metrics.json"),
        run=nonempty("<results>/face/{run}/seed{seed}/run.json"),
    log:
        "<logs>/face_evaluate_outside/{run}/seed{seed}.log",
    benchmark:
        "<benchmarks>/face_evaluate_outside/{run}/seed{seed}.jsonl"
    wildcard_constraints:
        run=one_of(FACE_OUTSIDE),


# Seeds of a run together, and every run against every other on the same items.
rule face_compare:
    input:
        metrics=FACE_RUNS.results("metrics.json"),
        predictions=FACE_RUNS.results("predictions.jsonl"),
        faces=FACE_RUNS.data_files("faces.npy"),
        metadata=FACE_RUNS.data_files("metadata.csv"),
        descriptions=FACE_RUNS.data_files("description.json"),
        labels=face_proxy_files("metadata_with_labels.csv"),
        schema=schema("comparison"),
    output:
        comparison=nonempty("<results>/face/comparison.json"),
    log:
        "<logs>/face_compare.log",
    benchmark:
        "<benchmarks>/face_compare.jsonl"
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=scaled(4000),
        runtime=60,
    params:
        lib=lib("face_compare"),
        data=FACE_RUNS.data,
        result_split=FACE["result_split"],
        bootstrap=FACE["bootstrap"],
    script:
        "../workflow/scripts/face_compare.py"


# The card that goes with a model, and a program of a few lines that uses it.
rule face_card:
    input:
        metrics="<results>/face/{run}/seed{seed}/metrics.json",
        audit=FACE_RUNS.data_of_run("audit.json"),
        check=face_proxies_of_run("label_check.json"),
    output:
        card=nonempty("<results>/face/{run}/seed{seed}/model_card.md"),
        example=nonempty("<results>/face/{run}/seed{seed}/inference_example.py"),
        licence=nonempty("<results>/face/{run}/seed{seed}/LICENSE.md"),
    log:
        "<logs>/face_card/{run}/seed{seed}.log",
    benchmark:
        "<benchmarks>/face_card/{run}/seed{seed}.jsonl"
    wildcard_constraints:
        run=one_of(FACE_NETWORKS),
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=scaled(1000),
        runtime=15,
    params:
        lib=lib("face_card"),
        recipe=FACE_RUNS.recipe("seeds"),
        labels=FACE["labels"],
        dataset=FACE_RUNS.dataset_entry,
        votes=face_votes_entry,
        model=FACE_RUNS.model_entry,
    script:
        "../workflow/scripts/face_card.py"


# ONNX and int8, with accuracy and speed before and after. On the CPU, which is what they are for.
rule face_export:
    input:
        model="<results>/face/{run}/seed{seed}/model",
        faces=FACE_RUNS.data_of_run("faces.npy"),
        metadata=FACE_RUNS.data_of_run("metadata.csv"),
        description=FACE_RUNS.data_of_run("description.json"),
    output:
        onnx=nonempty("<results>/face/{run}/seed{seed}/export/model.onnx"),
        int8=nonempty("<results>/face/{run}/seed{seed}/export/model.int8.onnx"),
        summary=nonempty("<results>/face/{run}/seed{seed}/export/export.json"),
    log:
        "<logs>/face_export/{run}/seed{seed}.log",
    benchmark:
        "<benchmarks>/face_export/{run}/seed{seed}.jsonl"
    wildcard_constraints:
        run=one_of(FACE_NETWORKS),
    conda:
        "../envs/vision.yaml"
    threads: 4
    resources:
        mem_mb=scaled(8000),
        runtime=60,
    params:
        lib=lib("face_export"),
        split=face_result_split,
    script:
        "../workflow/scripts/face_export.py"
