# What the rules of the emotion experiment ask of the configuration.

from affectlab.emotion.settings import baseline_in_use, selected_runs

EMOTION = config["emotion"]
EMOTION_RUNS = Runs("emotion", selected_runs(EMOTION))
# What rules receive of a run, the text of its own prompt included.
EMOTION_RUNS.blocks = {
    name: with_template(run) for name, run in EMOTION["runs"].items()
}
EMOTION_BASELINE_RUN = baseline_in_use(EMOTION)
# Name and seed of the predictions that every other run is held against.
EMOTION_BASELINE = EMOTION_BASELINE_RUN and (
    EMOTION_BASELINE_RUN,
    EMOTION_RUNS.first_seed(EMOTION_BASELINE_RUN),
)
EMOTION_NETWORKS = EMOTION_RUNS.of_method("full", "lora")
EMOTION_TFIDF = EMOTION_RUNS.of_method("tfidf")
EMOTION_OUTSIDE = [name for name in EMOTION["runs"] if EMOTION_RUNS.is_outside(name)]
EMOTION_ENDPOINTS = [
    name for name, run in EMOTION["runs"].items() if asks_endpoint(run)
]
EMOTION_PROMPTED = set(EMOTION_RUNS.of_method("prompt")) - set(EMOTION_ENDPOINTS)


def emotion_runs_on(target):
    """Names of the runs on data whose target is this one."""
    return [
        name
        for name, run in EMOTION["runs"].items()
        if REGISTRIES.datasets[run["data"]].get("target", "class") == target
    ]


def emotion_baseline_of(wildcards):
    """Predictions of the baseline, where the run is another on the same data."""
    name, runs = EMOTION_BASELINE_RUN, EMOTION_RUNS
    if name in (None, wildcards.run):
        return []
    if runs[wildcards.run]["data"] != runs[name]["data"]:
        return []
    return runs.of_first_seed(name, "predictions.jsonl")


def emotion_export_of(wildcards):
    """What an export of the run and seed measured, where there is one."""
    name, runs = wildcards.run, EMOTION_RUNS
    exported = name in EMOTION["export"] and name in runs.selected
    if not exported or int(wildcards.seed) != runs.first_seed(name):
        return []
    return runs.of_first_seed(name, "export/export.json")


def emotion_data_targets(wildcards):
    return [
        *EMOTION_RUNS.data_files("audit.json"),
        *EMOTION_RUNS.data_files("label_noise.json"),
    ]


def emotion_targets(wildcards):
    return [
        *emotion_data_targets(wildcards),
        *EMOTION_RUNS.results("metrics.json"),
        *EMOTION_RUNS.other_audits(),
        *EMOTION_RUNS.other_results("metrics.json"),
        *EMOTION_RUNS.results("figures/training_curves.svg", EMOTION_NETWORKS),
        *EMOTION_RUNS.results("model_card.md", EMOTION_NETWORKS + EMOTION_TFIDF),
        *(
            EMOTION_RUNS.of_first_seed(name, "export/export.json")
            for name in EMOTION["export"]
            if name in EMOTION_RUNS.selected
        ),
        "<results>/emotion/comparison.json",
    ]


EXPERIMENT_TARGETS["emotion"] = emotion_targets
NETWORKS["emotion"] = EMOTION_NETWORKS
