# Trained models on other data than their own: `test_on` of runs that predict one class of an item.
#
# REQUIRED INPUTS: models, predictions and data of the runs; the other data
# OUTPUTS:
#   <results>/{experiment}/data/{data}/copies/{other}.json     items that are nearly the same
#   <results>/{experiment}/{run}/seed{seed}/on/{data}/     predictions, metrics
# STEPS: copies; predict_on -> evaluate_on


wildcard_constraints:
    other=one_of(REGISTRIES.datasets),


# Once for two data sets, whatever runs are tested.
rule emotion_copies:
    input:
        records="<results>/emotion/data/{data}/records.jsonl",
        description="<results>/emotion/data/{data}/description.json",
        other_records="<results>/emotion/data/{other}/records.jsonl",
        other_description="<results>/emotion/data/{other}/description.json",
    output:
        copies=nonempty("<results>/emotion/data/{data}/copies/{other}.json"),
    log:
        "<logs>/emotion_copies/{data}/{other}.log",
    benchmark:
        "<benchmarks>/emotion_copies/{data}/{other}.jsonl"
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=scaled(4000),
        runtime=60,
    params:
        lib=lib("emotion_copies"),
    script:
        "../workflow/scripts/emotion_copies.py"


# Every text of the test split, of classes that the model does not have as well: another mapping of
# the classes predicts nothing again.
rule emotion_predict_on:
    input:
        model="<results>/emotion/{run}/seed{seed}/model",
        records=EMOTION_RUNS.other_data("records.jsonl"),
        description=EMOTION_RUNS.other_data("description.json"),
        audit=ordering_only(EMOTION_RUNS.other_data("audit.json")),
    output:
        predictions=nonempty(
            "<results>/emotion/{run}/seed{seed}/on/{data}/predictions.jsonl"
        ),
    log:
        "<logs>/emotion_predict_on/{run}/seed{seed}/{data}.log",
    benchmark:
        "<benchmarks>/emotion_predict_on/{run}/seed{seed}/{data}.jsonl"
    wildcard_constraints:
        run=one_of(EMOTION_RUNS.with_other_data()),
    conda:
        "../envs/text.yaml"
    threads: 8
    resources:
        mem_mb=scaled(8000),
        runtime=120,
        gpu=1,
    params:
        lib=lib("emotion_predict_on"),
    script:
        "../workflow/scripts/emotion_predict_on.py"


rule emotion_evaluate_on:
    input:
        predictions="<results>/emotion/{run}/seed{seed}/on/{data}/predictions.jsonl",
        own_predictions="<results>/emotion/{run}/seed{seed}/predictions.jsonl",
        own_records=EMOTION_RUNS.data_of_run("records.jsonl"),
        own_description=EMOTION_RUNS.data_of_run("description.json"),
        records=EMOTION_RUNS.other_data("records.jsonl"),
        description=EMOTION_RUNS.other_data("description.json"),
        copies=EMOTION_RUNS.copies_of_run,
        schema=schema("other_data"),
    output:
        metrics=nonempty("<results>/emotion/{run}/seed{seed}/on/{data}/metrics.json"),
    log:
        "<logs>/emotion_evaluate_on/{run}/seed{seed}/{data}.log",
    benchmark:
        "<benchmarks>/emotion_evaluate_on/{run}/seed{seed}/{data}.jsonl"
    wildcard_constraints:
        run=one_of(EMOTION_RUNS.with_other_data()),
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=scaled(4000),
        runtime=60,
    params:
        lib=lib("emotion_evaluate_on"),
        recipe=EMOTION_RUNS.recipe("seeds"),
        block=EMOTION_RUNS.other_block,
        bootstrap=EMOTION["bootstrap"],
    script:
        "../workflow/scripts/emotion_evaluate_on.py"


rule face_copies:
    input:
        faces="<results>/face/data/{data}/faces.npy",
        metadata="<results>/face/data/{data}/metadata.csv",
        description="<results>/face/data/{data}/description.json",
        other_faces="<results>/face/data/{other}/faces.npy",
        other_metadata="<results>/face/data/{other}/metadata.csv",
        other_description="<results>/face/data/{other}/description.json",
    output:
        copies=nonempty("<results>/face/data/{data}/copies/{other}.json"),
    log:
        "<logs>/face_copies/{data}/{other}.log",
    benchmark:
        "<benchmarks>/face_copies/{data}/{other}.jsonl"
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=scaled(4000),
        runtime=60,
    params:
        lib=lib("face_copies"),
    script:
        "../workflow/scripts/face_copies.py"


rule face_predict_on:
    input:
        model="<results>/face/{run}/seed{seed}/model",
        faces=FACE_RUNS.other_data("faces.npy"),
        metadata=FACE_RUNS.other_data("metadata.csv"),
        description=FACE_RUNS.other_data("description.json"),
        audit=ordering_only(FACE_RUNS.other_data("audit.json")),
    output:
        predictions=nonempty(
            "<results>/face/{run}/seed{seed}/on/{data}/predictions.jsonl"
        ),
    log:
        "<logs>/face_predict_on/{run}/seed{seed}/{data}.log",
    benchmark:
        "<benchmarks>/face_predict_on/{run}/seed{seed}/{data}.jsonl"
    wildcard_constraints:
        run=one_of(FACE_RUNS.with_other_data()),
    conda:
        "../envs/vision.yaml"
    threads: 8
    resources:
        mem_mb=scaled(8000),
        runtime=60,
        gpu=1,
    params:
        lib=lib("face_predict_on"),
    script:
        "../workflow/scripts/face_predict_on.py"


rule face_evaluate_on:
    input:
        predictions="<results>/face/{run}/seed{seed}/on/{data}/predictions.jsonl",
        own_predictions="<results>/face/{run}/seed{seed}/predictions.jsonl",
        own_faces=FACE_RUNS.data_of_run("faces.npy"),
        own_metadata=FACE_RUNS.data_of_run("metadata.csv"),
        own_description=FACE_RUNS.data_of_run("description.json"),
        faces=FACE_RUNS.other_data("faces.npy"),
        metadata=FACE_RUNS.other_data("metadata.csv"),
        description=FACE_RUNS.other_data("description.json"),
        copies=FACE_RUNS.copies_of_run,
        schema=schema("other_data"),
    output:
        metrics=nonempty("<results>/face/{run}/seed{seed}/on/{data}/metrics.json"),
    log:
        "<logs>/face_evaluate_on/{run}/seed{seed}/{data}.log",
    benchmark:
        "<benchmarks>/face_evaluate_on/{run}/seed{seed}/{data}.jsonl"
    wildcard_constraints:
        run=one_of(FACE_RUNS.with_other_data()),
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=scaled(4000),
        runtime=60,
    params:
        lib=lib("face_evaluate_on"),
        recipe=FACE_RUNS.recipe("seeds"),
        block=FACE_RUNS.other_block,
        bootstrap=FACE["bootstrap"],
        result_split=FACE["result_split"],
    script:
        "../workflow/scripts/face_evaluate_on.py"


rule audio_copies:
    input:
        records="<results>/audio/data/{data}/records.jsonl",
        measures="<results>/audio/data/{data}/measures.jsonl",
        manifest="<resources>/raw/{data}/manifest.json",
        other_records="<results>/audio/data/{other}/records.jsonl",
        other_measures="<results>/audio/data/{other}/measures.jsonl",
        other_manifest="<resources>/raw/{other}/manifest.json",
    output:
        copies=nonempty("<results>/audio/data/{data}/copies/{other}.json"),
    log:
        "<logs>/audio_copies/{data}/{other}.log",
    benchmark:
        "<benchmarks>/audio_copies/{data}/{other}.jsonl"
    conda:
        "../envs/audio.yaml"
    threads: 4
    resources:
        mem_mb=scaled(2000),
        runtime=60,
    params:
        lib=lib("audio_copies"),
    script:
        "../workflow/scripts/audio_copies.py"


rule audio_predict_on:
    input:
        model="<results>/audio/{run}/seed{seed}/model",
        records=AUDIO_RUNS.other_data("records.jsonl"),
        measures=AUDIO_RUNS.other_data("measures.jsonl"),
        description=AUDIO_RUNS.other_data("description.json"),
        embeddings=audio_other_embeddings,
    output:
        predictions=nonempty(
            "<results>/audio/{run}/seed{seed}/on/{data}/predictions.jsonl"
        ),
    log:
        "<logs>/audio_predict_on/{run}/seed{seed}/{data}.log",
    benchmark:
        "<benchmarks>/audio_predict_on/{run}/seed{seed}/{data}.jsonl"
    wildcard_constraints:
        run=one_of(AUDIO_RUNS.with_other_data()),
    conda:
        "../envs/audio.yaml"
    resources:
        mem_mb=scaled(4000),
        runtime=30,
    params:
        lib=lib("audio_predict_on"),
        task=audio_other_task,
        unit=lambda wildcards: AUDIO_RUNS[wildcards.run]["unit"],
    script:
        "../workflow/scripts/audio_predict_on.py"


rule audio_evaluate_on:
    input:
        predictions="<results>/audio/{run}/seed{seed}/on/{data}/predictions.jsonl",
        own_predictions="<results>/audio/{run}/seed{seed}/predictions.jsonl",
        details="<results>/audio/{run}/seed{seed}/details.json",
        model="<results>/audio/{run}/seed{seed}/model",
        own_records=AUDIO_RUNS.data_of_run("records.jsonl"),
        own_measures=AUDIO_RUNS.data_of_run("measures.jsonl"),
        records=AUDIO_RUNS.other_data("records.jsonl"),
        measures=AUDIO_RUNS.other_data("measures.jsonl"),
        description=AUDIO_RUNS.other_data("description.json"),
        copies=AUDIO_RUNS.copies_of_run,
        schema=schema("other_data"),
    output:
        metrics=nonempty("<results>/audio/{run}/seed{seed}/on/{data}/metrics.json"),
    log:
        "<logs>/audio_evaluate_on/{run}/seed{seed}/{data}.log",
    benchmark:
        "<benchmarks>/audio_evaluate_on/{run}/seed{seed}/{data}.jsonl"
    wildcard_constraints:
        run=one_of(AUDIO_RUNS.with_other_data()),
    conda:
        "../envs/audio.yaml"
    resources:
        mem_mb=scaled(2000),
        runtime=60,
    params:
        lib=lib("audio_evaluate_on"),
        recipe=AUDIO_RUNS.recipe("seeds"),
        block=AUDIO_RUNS.other_block,
        bootstrap=AUDIO["bootstrap"],
        task=audio_other_task,
    script:
        "../workflow/scripts/audio_evaluate_on.py"
