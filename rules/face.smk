# The face experiment: FER2013 expressions, and the proxies published as "IQ" and "EQ".
#
# REQUIRED INPUTS:
#   <resources>/raw/{data}/manifest.json, <resources>/models/{model}/manifest.json
# OUTPUTS:
#   <results>/face/data/{data}/         faces.npy, tables, quarantine, audit, label check
#   <results>/face/{run}/seed{seed}/    model, predictions, metrics, blur test, figures, card, export
#   <results>/face/comparison.json      seeds together, runs against each other
# STEPS: convert -> audit -> label -> check_labels -> train -> predict, blur -> evaluate -> card;
#   export, compare


include: "face_common.smk"


rule face_convert:
    input:
        manifest="<resources>/raw/{data}/manifest.json",
        votes=face_votes_of,
        lib=lib("face_convert"),
    output:
        faces=ensure("<results>/face/data/{data}/faces.npy", non_empty=True),
        metadata=ensure("<results>/face/data/{data}/metadata.csv", non_empty=True),
        quarantine="<results>/face/data/{data}/quarantine.jsonl",
    log:
        "<logs>/face_convert/{data}.log",
    benchmark:
        "<benchmarks>/face_convert/{data}.jsonl"
    conda:
        "../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=scaled(4000),
        runtime=60,
    params:
        on_bad_record=config["on_bad_record"],
        similar_names=config["similar_names"],
        expected=expected_counts,
    script:
        "../workflow/scripts/face_convert.py"


rule face_audit:
    input:
        faces="<results>/face/data/{data}/faces.npy",
        metadata="<results>/face/data/{data}/metadata.csv",
        quarantine="<results>/face/data/{data}/quarantine.jsonl",
        manifest="<resources>/raw/{data}/manifest.json",
        lib=lib("face_audit"),
    output:
        audit=report(
            ensure("<results>/face/data/{data}/audit.json", non_empty=True),
            caption="../workflow/report/face_audit.rst",
            category="Face",
            subcategory="Data",
            labels={"data": "{data}", "what": "audit"},
        ),
    log:
        "<logs>/face_audit/{data}.log",
    benchmark:
        "<benchmarks>/face_audit/{data}.jsonl"
    conda:
        "../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=scaled(4000),
        runtime=60,
    params:
        required_splits=["train", *FACE_SPLITS],
        expected=expected_counts,
    script:
        "../workflow/scripts/face_audit.py"


rule face_label:
    input:
        faces="<results>/face/data/{data}/faces.npy",
        metadata="<results>/face/data/{data}/metadata.csv",
        # A gate: it has to pass, and what it says is not used.
        audit=ancient("<results>/face/data/{data}/audit.json"),
        lib=lib("face_label"),
    output:
        labels=ensure(
            "<results>/face/data/{data}/metadata_with_labels.csv", non_empty=True
        ),
    log:
        "<logs>/face_label/{data}.log",
    benchmark:
        "<benchmarks>/face_label/{data}.jsonl"
    conda:
        "../envs/data.yaml"
    threads: 2
    resources:
        mem_mb=scaled(2000),
        runtime=30,
    params:
        labels=face_labels("formulas", "affect"),
    script:
        "../workflow/scripts/face_label.py"


rule face_check_labels:
    input:
        labels="<results>/face/data/{data}/metadata_with_labels.csv",
        faces="<results>/face/data/{data}/faces.npy",
        metadata="<results>/face/data/{data}/metadata.csv",
        lib=lib("face_check_labels"),
    output:
        check=ensure("<results>/face/data/{data}/label_check.json", non_empty=True),
        svg=report(
            ensure(
                "<results>/face/data/{data}/labels.svg",
                non_empty=True,
            ),
            caption="../workflow/report/face_labels.rst",
            category="Face",
            subcategory="Data",
            labels={"data": "{data}", "what": "labels"},
        ),
        png=ensure(
            "<results>/face/data/{data}/labels.png",
            non_empty=True,
        ),
    log:
        "<logs>/face_check_labels/{data}.log",
    benchmark:
        "<benchmarks>/face_check_labels/{data}.jsonl"
    conda:
        "../envs/data.yaml"
    threads: 2
    resources:
        mem_mb=scaled(2000),
        runtime=30,
    params:
        labels=face_labels("formulas", "affect", "max_missing_share"),
    script:
        "../workflow/scripts/face_check_labels.py"


# Checkpoints lie beside the outputs, so an interrupted job goes on where it was.
rule face_train:
    input:
        faces=FACE_RUNS.data_of_run("faces.npy"),
        metadata=FACE_RUNS.data_of_run("metadata.csv"),
        labels=FACE_RUNS.data_of_run("metadata_with_labels.csv"),
        # A gate: it has to pass, and what it says is not used.
        check=ancient(FACE_RUNS.data_of_run("label_check.json")),
        model=FACE_RUNS.model_of_run,
        lib=lib("face_train"),
    output:
        model=directory("<results>/face/{run}/seed{seed}/model"),
        history=ensure("<results>/face/{run}/seed{seed}/history.csv", non_empty=True),
        training=ensure("<results>/face/{run}/seed{seed}/training.json", non_empty=True),
    log:
        "<logs>/face_train/{run}/seed{seed}.log",
    benchmark:
        "<benchmarks>/face_train/{run}/seed{seed}.jsonl"
    wildcard_constraints:
        run=one_of(FACE["runs"]),
    conda:
        "../envs/vision.yaml"
    threads: 8
    resources:
        mem_mb=scaled(8000),
        runtime=1440,
        gpu=1,
    params:
        recipe=FACE_RUNS.recipe("protocol", "seeds", "data"),
    script:
        "../workflow/scripts/face_train.py"


rule face_predict:
    input:
        model="<results>/face/{run}/seed{seed}/model",
        faces=FACE_RUNS.data_of_run("faces.npy"),
        metadata=FACE_RUNS.data_of_run("metadata.csv"),
        lib=lib("face_predict"),
    output:
        predictions=ensure(
            "<results>/face/{run}/seed{seed}/predictions.jsonl", non_empty=True
        ),
    log:
        "<logs>/face_predict/{run}/seed{seed}.log",
    benchmark:
        "<benchmarks>/face_predict/{run}/seed{seed}.jsonl"
    wildcard_constraints:
        run=one_of(FACE["runs"]),
    conda:
        "../envs/vision.yaml"
    threads: 8
    resources:
        mem_mb=scaled(8000),
        runtime=60,
        gpu=1,
    params:
        splits=FACE_SPLITS,
    script:
        "../workflow/scripts/face_predict.py"


# The same faces with worse pictures: what the two indices follow.
rule face_blur:
    input:
        model="<results>/face/{run}/seed{seed}/model",
        faces=FACE_RUNS.data_of_run("faces.npy"),
        metadata=FACE_RUNS.data_of_run("metadata.csv"),
        lib=lib("face_blur"),
    output:
        result=ensure("<results>/face/{run}/seed{seed}/blur.json", non_empty=True),
        svg=report(
            ensure(
                "<results>/face/{run}/seed{seed}/figures/blur_test.svg",
                non_empty=True,
            ),
            caption="../workflow/report/face_blur.rst",
            category="Face",
            subcategory="{run}",
            labels={"seed": "{seed}", "what": "blur test"},
        ),
        png=ensure(
            "<results>/face/{run}/seed{seed}/figures/blur_test.png",
            non_empty=True,
        ),
    log:
        "<logs>/face_blur/{run}/seed{seed}.log",
    benchmark:
        "<benchmarks>/face_blur/{run}/seed{seed}.jsonl"
    wildcard_constraints:
        run=one_of(FACE["runs"]),
    conda:
        "../envs/vision.yaml"
    threads: 4
    resources:
        mem_mb=scaled(8000),
        runtime=60,
    params:
        labels=face_labels("formulas", "affect"),
        blur_test=FACE["blur_test"],
        split=FACE["result_split"],
    script:
        "../workflow/scripts/face_blur.py"


# Scores, intervals, calibration, figures.
rule face_evaluate:
    input:
        predictions="<results>/face/{run}/seed{seed}/predictions.jsonl",
        training="<results>/face/{run}/seed{seed}/training.json",
        blur="<results>/face/{run}/seed{seed}/blur.json",
        faces=FACE_RUNS.data_of_run("faces.npy"),
        metadata=FACE_RUNS.data_of_run("metadata.csv"),
        labels=FACE_RUNS.data_of_run("metadata_with_labels.csv"),
        audit=FACE_RUNS.data_of_run("audit.json"),
        model=FACE_RUNS.model_of_run,
        metrics_schema=schema("metrics"),
        run_schema=schema("run"),
        lib=lib("face_evaluate"),
    output:
        metrics=report(
            ensure("<results>/face/{run}/seed{seed}/metrics.json", non_empty=True),
            caption="../workflow/report/face_metrics.rst",
            category="Face",
            subcategory="{run}",
            labels={"seed": "{seed}", "what": "metrics"},
        ),
        run=ensure("<results>/face/{run}/seed{seed}/run.json", non_empty=True),
        confusion=report(
            ensure(
                "<results>/face/{run}/seed{seed}/figures/confusion_matrix.svg",
                non_empty=True,
            ),
            caption="../workflow/report/face_confusion.rst",
            category="Face",
            subcategory="{run}",
            labels={"seed": "{seed}", "what": "confusion matrix"},
        ),
        confusion_png=ensure(
            "<results>/face/{run}/seed{seed}/figures/confusion_matrix.png",
            non_empty=True,
        ),
        reliability=report(
            ensure(
                "<results>/face/{run}/seed{seed}/figures/reliability.svg",
                non_empty=True,
            ),
            caption="../workflow/report/face_reliability.rst",
            category="Face",
            subcategory="{run}",
            labels={"seed": "{seed}", "what": "reliability"},
        ),
        reliability_png=ensure(
            "<results>/face/{run}/seed{seed}/figures/reliability.png",
            non_empty=True,
        ),
        outputs=report(
            ensure(
                "<results>/face/{run}/seed{seed}/figures/outputs.svg",
                non_empty=True,
            ),
            caption="../workflow/report/face_outputs.rst",
            category="Face",
            subcategory="{run}",
            labels={"seed": "{seed}", "what": "outputs"},
        ),
        outputs_png=ensure(
            "<results>/face/{run}/seed{seed}/figures/outputs.png",
            non_empty=True,
        ),
    log:
        "<logs>/face_evaluate/{run}/seed{seed}.log",
    benchmark:
        "<benchmarks>/face_evaluate/{run}/seed{seed}.jsonl"
    wildcard_constraints:
        run=one_of(FACE["runs"]),
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=scaled(4000),
        runtime=60,
    params:
        recipe=FACE_RUNS.recipe("seeds"),
        result_split=FACE["result_split"],
        bootstrap=FACE["bootstrap"],
    script:
        "../workflow/scripts/face_evaluate.py"


rule face_curves:
    input:
        history="<results>/face/{run}/seed{seed}/history.csv",
        lib=lib("face_curves"),
    output:
        svg=report(
            ensure(
                "<results>/face/{run}/seed{seed}/figures/training_curves.svg",
                non_empty=True,
            ),
            caption="../workflow/report/face_curves.rst",
            category="Face",
            subcategory="{run}",
            labels={"seed": "{seed}", "what": "training curves"},
        ),
        png=ensure(
            "<results>/face/{run}/seed{seed}/figures/training_curves.png",
            non_empty=True,
        ),
    log:
        "<logs>/face_curves/{run}/seed{seed}.log",
    benchmark:
        "<benchmarks>/face_curves/{run}/seed{seed}.jsonl"
    wildcard_constraints:
        run=one_of(FACE["runs"]),
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=scaled(2000),
        runtime=30,
    script:
        "../workflow/scripts/face_curves.py"


# Seeds of a run together, and every run against every other on the same items.
rule face_compare:
    input:
        metrics=FACE_RUNS.results("metrics.json"),
        predictions=FACE_RUNS.results("predictions.jsonl"),
        faces=FACE_RUNS.data_files("faces.npy"),
        metadata=FACE_RUNS.data_files("metadata.csv"),
        labels=FACE_RUNS.data_files("metadata_with_labels.csv"),
        schema=schema("comparison"),
        lib=lib("face_compare"),
    output:
        comparison=ensure("<results>/face/comparison.json", non_empty=True),
    log:
        "<logs>/face_compare.log",
    benchmark:
        "<benchmarks>/face_compare.jsonl"
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=scaled(4000),
        runtime=60,
    params:
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
        check=FACE_RUNS.data_of_run("label_check.json"),
        lib=lib("face_card"),
    output:
        card=ensure("<results>/face/{run}/seed{seed}/model_card.md", non_empty=True),
        example=ensure(
            "<results>/face/{run}/seed{seed}/inference_example.py", non_empty=True
        ),
    log:
        "<logs>/face_card/{run}/seed{seed}.log",
    benchmark:
        "<benchmarks>/face_card/{run}/seed{seed}.jsonl"
    wildcard_constraints:
        run=one_of(FACE["runs"]),
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=scaled(1000),
        runtime=15,
    params:
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
        lib=lib("face_export"),
    output:
        onnx=ensure("<results>/face/{run}/seed{seed}/export/model.onnx", non_empty=True),
        int8=ensure(
            "<results>/face/{run}/seed{seed}/export/model.int8.onnx", non_empty=True
        ),
        summary=ensure(
            "<results>/face/{run}/seed{seed}/export/export.json", non_empty=True
        ),
    log:
        "<logs>/face_export/{run}/seed{seed}.log",
    benchmark:
        "<benchmarks>/face_export/{run}/seed{seed}.jsonl"
    wildcard_constraints:
        run=one_of(FACE["runs"]),
    conda:
        "../envs/vision.yaml"
    threads: 4
    resources:
        mem_mb=scaled(8000),
        runtime=60,
    params:
        split=FACE["result_split"],
    script:
        "../workflow/scripts/face_export.py"
