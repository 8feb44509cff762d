# The audio experiment: linear probes on frozen audio encoders.
#
# REQUIRED INPUTS:
#   <resources>/raw/{data}/manifest.json, <resources>/models/{model}/manifest.json
# OUTPUTS:
#   <results>/audio/data/{data}/     records, quarantine, description, audit, measures of every clip
#   <results>/audio/embeddings/{data}/{encoder}/     vectors of every clip, and their cache
#   <results>/audio/{run}/seed{seed}/     probe, predictions, metrics, figures, card
#   <results>/audio/comparison.json     all runs against each other
# STEPS: convert -> audit -> embed (in shards) -> gather -> probe -> evaluate -> card, compare


include: "audio_common.smk"


# Of the rules from here on to the next such block.
wildcard_constraints:
    run=one_of(AUDIO["runs"]),
    encoder=one_of(AUDIO["encoders"]),
    shard=r"\d+",


rule audio_convert:
    input:
        manifest="<resources>/raw/{data}/manifest.json",
        exclude=exclusion_file,
    output:
        records=nonempty("<results>/audio/data/{data}/records.jsonl"),
        quarantine="<results>/audio/data/{data}/quarantine.jsonl",
        description=nonempty("<results>/audio/data/{data}/description.json"),
    log:
        "<logs>/audio_convert/{data}.log",
    benchmark:
        "<benchmarks>/audio_convert/{data}.jsonl"
    conda:
        "../envs/audio.yaml"
    resources:
        mem_mb=scaled(1000),
        runtime=30,
    params:
        lib=lib("audio_convert"),
        entry=reading_part,
        exclude=exclusion_digests,
        on_bad_record=config["on_bad_record"],
        similar_names=config["similar_names"],
        clips=AUDIO["clips"],
    script:
        "../workflow/scripts/audio_convert.py"


# Decodes every clip once: what each is like, and whether the corpus can be used.
rule audio_audit:
    input:
        records="<results>/audio/data/{data}/records.jsonl",
        quarantine="<results>/audio/data/{data}/quarantine.jsonl",
        description="<results>/audio/data/{data}/description.json",
        manifest="<resources>/raw/{data}/manifest.json",
    output:
        audit=nonempty("<results>/audio/data/{data}/audit.json"),
        measures=nonempty("<results>/audio/data/{data}/measures.jsonl"),
    log:
        "<logs>/audio_audit/{data}.log",
    benchmark:
        "<benchmarks>/audio_audit/{data}.jsonl"
    conda:
        "../envs/audio.yaml"
    threads: 4
    resources:
        mem_mb=scaled(2000),
        runtime=60,
    params:
        lib=lib("audio_audit"),
        expected=expected_counts,
        on_bad_record=config["on_bad_record"],
    script:
        "../workflow/scripts/audio_audit.py"


# Vectors that were computed before lie in the cache beside the outputs, so an interrupted job goes
# on where it was and clips that are added later are the only ones embedded.
rule audio_embed:
    input:
        records="<results>/audio/data/{data}/records.jsonl",
        measures="<results>/audio/data/{data}/measures.jsonl",
        manifest="<resources>/raw/{data}/manifest.json",
        model=audio_encoder_model,
        vectors=audio_encoder_vectors,
    output:
        nonempty("<results>/audio/embeddings/{data}/{encoder}/shard{shard}.npz"),
    log:
        "<logs>/audio_embed/{data}/{encoder}/shard{shard}.log",
    benchmark:
        "<benchmarks>/audio_embed/{data}/{encoder}/shard{shard}.jsonl"
    conda:
        "../envs/audio.yaml"
    threads: 4
    resources:
        mem_mb=scaled(8000),
        runtime=480,
        gpu=lambda wildcards: int(
            ENCODER_KINDS[AUDIO["encoders"][wildcards.encoder]["kind"]].gpu
        ),
    params:
        lib=lib("audio_embed"),
        spec=lambda wildcards: AUDIO["encoders"][wildcards.encoder],
        shards=AUDIO["shards"],
    script:
        "../workflow/scripts/audio_embed.py"


rule audio_gather:
    input:
        records="<results>/audio/data/{data}/records.jsonl",
        measures="<results>/audio/data/{data}/measures.jsonl",
        shards=audio_shards,
    output:
        nonempty("<results>/audio/embeddings/{data}/{encoder}/embeddings.npz"),
    log:
        "<logs>/audio_gather/{data}/{encoder}.log",
    benchmark:
        "<benchmarks>/audio_gather/{data}/{encoder}.jsonl"
    conda:
        "../envs/audio.yaml"
    resources:
        mem_mb=scaled(4000),
        runtime=15,
    params:
        lib=lib("audio_gather"),
    script:
        "../workflow/scripts/audio_gather.py"


rule audio_probe:
    input:
        records=AUDIO_RUNS.data_of_run("records.jsonl"),
        measures=AUDIO_RUNS.data_of_run("measures.jsonl"),
        description=AUDIO_RUNS.data_of_run("description.json"),
        embeddings=audio_embeddings,
    output:
        predictions=nonempty("<results>/audio/{run}/seed{seed}/predictions.jsonl"),
        details=nonempty("<results>/audio/{run}/seed{seed}/details.json"),
        training=nonempty("<results>/audio/{run}/seed{seed}/training.json"),
        model=directory("<results>/audio/{run}/seed{seed}/model"),
    log:
        "<logs>/audio_probe/{run}/seed{seed}.log",
    benchmark:
        "<benchmarks>/audio_probe/{run}/seed{seed}.jsonl"
    wildcard_constraints:
        run=one_of(AUDIO_PROBES),
    conda:
        "../envs/audio.yaml"
    threads: 4
    resources:
        mem_mb=scaled(4000),
        runtime=240,
    params:
        lib=lib("audio_probe"),
        recipe=AUDIO_RUNS.recipe("seeds"),
    script:
        "../workflow/scripts/audio_probe.py"


# What somebody else predicted, as our own predictions are stored.
rule audio_outside:
    input:
        table=AUDIO_RUNS.outside_files,
        records=AUDIO_RUNS.data_of_run("records.jsonl"),
        measures=AUDIO_RUNS.data_of_run("measures.jsonl"),
        description=AUDIO_RUNS.data_of_run("description.json"),
    output:
        predictions=nonempty("<results>/audio/{run}/seed{seed}/predictions.jsonl"),
        outside=nonempty("<results>/audio/{run}/seed{seed}/outside.json"),
    log:
        "<logs>/audio_outside/{run}/seed{seed}.log",
    benchmark:
        "<benchmarks>/audio_outside/{run}/seed{seed}.jsonl"
    wildcard_constraints:
        run=one_of(AUDIO_RUNS.of_method(OUTSIDE)),
    conda:
        "../envs/audio.yaml"
    resources:
        mem_mb=scaled(2000),
        runtime=15,
    params:
        lib=lib("audio_outside"),
        recipe=AUDIO_RUNS.recipe("seeds", "data"),
    script:
        "../workflow/scripts/audio_outside.py"


# What an audio classifier from elsewhere predicts, without training.
rule audio_pretrained:
    input:
        model=AUDIO_RUNS.model_of_run,
        records=AUDIO_RUNS.data_of_run("records.jsonl"),
        measures=AUDIO_RUNS.data_of_run("measures.jsonl"),
        description=AUDIO_RUNS.data_of_run("description.json"),
        manifest=audio_raw_of_run,
    output:
        predictions=nonempty("<results>/audio/{run}/seed{seed}/predictions.jsonl"),
        outside=nonempty("<results>/audio/{run}/seed{seed}/outside.json"),
    log:
        "<logs>/audio_pretrained/{run}/seed{seed}.log",
    benchmark:
        "<benchmarks>/audio_pretrained/{run}/seed{seed}.jsonl"
    wildcard_constraints:
        run=one_of(AUDIO_RUNS.of_method("pretrained")),
    conda:
        "../envs/audio.yaml"
    threads: 4
    resources:
        mem_mb=scaled(8000),
        runtime=480,
        gpu=1,
    params:
        lib=lib("audio_pretrained"),
        recipe=AUDIO_RUNS.recipe("seeds", "data"),
        hub_ids=AUDIO_RUNS.hub_ids,
    script:
        "../workflow/scripts/audio_pretrained.py"


rule audio_evaluate:
    input:
        predictions="<results>/audio/{run}/seed{seed}/predictions.jsonl",
        details=AUDIO_RUNS.of_trained("details.json"),
        training=AUDIO_RUNS.of_trained("training.json"),
        model=AUDIO_RUNS.of_trained("model"),
        outside=AUDIO_RUNS.of_outside("outside.json"),
        description=AUDIO_RUNS.data_of_run("description.json"),
        records=AUDIO_RUNS.data_of_run("records.jsonl"),
        measures=AUDIO_RUNS.data_of_run("measures.jsonl"),
        encoder=audio_run_model,
        subgroups=AUDIO_RUNS.subgroups_of_run,
        metrics_schema=schema("metrics"),
        run_schema=schema("run"),
    output:
        **figure("<results>/audio/{run}/seed{seed}/figures/confusion_matrix"),
        **figure("<results>/audio/{run}/seed{seed}/figures/schemes"),
        metrics=nonempty("<results>/audio/{run}/seed{seed}/metrics.json"),
        run=nonempty("<results>/audio/{run}/seed{seed}/run.json"),
        text=nonempty("<results>/audio/{run}/seed{seed}/evaluation_results.txt"),
    log:
        "<logs>/audio_evaluate/{run}/seed{seed}.log",
    benchmark:
        "<benchmarks>/audio_evaluate/{run}/seed{seed}.jsonl"
    wildcard_constraints:
        run=one_of(audio_runs_on("class", AUDIO_PROBES)),
    conda:
        "../envs/audio.yaml"
    resources:
        mem_mb=scaled(2000),
        runtime=60,
    params:
        lib=lib("audio_evaluate"),
        recipe=AUDIO_RUNS.recipe("seeds"),
        bootstrap=AUDIO["bootstrap"],
    script:
        "../workflow/scripts/audio_evaluate.py"


# The same where numbers are predicted.
use rule audio_evaluate as audio_evaluate_numbers with:
    output:
        **figure("<results>/audio/{run}/seed{seed}/figures/predicted_values"),
        **figure("<results>/audio/{run}/seed{seed}/figures/schemes"),
        metrics=nonempty("<results>/audio/{run}/seed{seed}/metrics.json"),
        run=nonempty("<results>/audio/{run}/seed{seed}/run.json"),
        text=nonempty("<results>/audio/{run}/seed{seed}/evaluation_results.txt"),
    log:
        "<logs>/audio_evaluate_numbers/{run}/seed{seed}.log",
    benchmark:
        "<benchmarks>/audio_evaluate_numbers/{run}/seed{seed}.jsonl"
    wildcard_constraints:
        run=one_of(audio_runs_on("numbers")),


# The same where several classes are predicted.
use rule audio_evaluate as audio_evaluate_label_sets with:
    output:
        **figure("<results>/audio/{run}/seed{seed}/figures/precision_recall"),
        **figure("<results>/audio/{run}/seed{seed}/figures/schemes"),
        metrics=nonempty("<results>/audio/{run}/seed{seed}/metrics.json"),
        run=nonempty("<results>/audio/{run}/seed{seed}/run.json"),
        text=nonempty("<results>/audio/{run}/seed{seed}/evaluation_results.txt"),
    log:
        "<logs>/audio_evaluate_label_sets/{run}/seed{seed}.log",
    benchmark:
        "<benchmarks>/audio_evaluate_label_sets/{run}/seed{seed}.jsonl"
    wildcard_constraints:
        run=one_of(audio_runs_on("classes")),


# The same for classes that somebody else predicted.
use rule audio_evaluate as audio_evaluate_outside with:
    log:
        "<logs>/audio_evaluate_outside/{run}/seed{seed}.log",
    benchmark:
        "<benchmarks>/audio_evaluate_outside/{run}/seed{seed}.jsonl"
    wildcard_constraints:
        run=one_of(audio_runs_on("class", AUDIO_OUTSIDE)),


# Seeds of a run together, every run against every other on the same items, and all in one figure.
rule audio_compare:
    input:
        metrics=AUDIO_RUNS.results("metrics.json"),
        predictions=AUDIO_RUNS.results("predictions.jsonl"),
        records=AUDIO_RUNS.data_files("records.jsonl"),
        measures=AUDIO_RUNS.data_files("measures.jsonl"),
        schema=schema("comparison"),
    output:
        **figure("<results>/audio/figures/forest"),
        comparison=nonempty("<results>/audio/comparison.json"),
    log:
        "<logs>/audio_compare.log",
    benchmark:
        "<benchmarks>/audio_compare.jsonl"
    conda:
        "../envs/audio.yaml"
    resources:
        mem_mb=scaled(2000),
        runtime=60,
    params:
        lib=lib("audio_compare"),
        data=AUDIO_RUNS.data,
        baseline=AUDIO["baseline"],
        bootstrap=AUDIO["bootstrap"],
    script:
        "../workflow/scripts/audio_compare.py"


# The card that goes with a probe, and a program of a few lines that uses it.
rule audio_card:
    input:
        metrics="<results>/audio/{run}/seed{seed}/metrics.json",
        audit=AUDIO_RUNS.data_of_run("audit.json"),
        model=audio_run_model,
    output:
        card=nonempty("<results>/audio/{run}/seed{seed}/model_card.md"),
        example=nonempty("<results>/audio/{run}/seed{seed}/inference_example.py"),
        licence=nonempty("<results>/audio/{run}/seed{seed}/LICENSE.md"),
    log:
        "<logs>/audio_card/{run}/seed{seed}.log",
    benchmark:
        "<benchmarks>/audio_card/{run}/seed{seed}.jsonl"
    wildcard_constraints:
        run=one_of(AUDIO_PROBES),
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=scaled(1000),
        runtime=15,
    params:
        lib=lib("audio_card"),
        recipe=AUDIO_RUNS.recipe("seeds"),
        dataset=AUDIO_RUNS.dataset_entry,
        encoder=audio_encoder_spec,
        model=audio_model_entry,
    script:
        "../workflow/scripts/audio_card.py"
