# What the rules of the emotion experiment ask of the configuration.

from affectlab.emotion.settings import selected_runs

EMOTION = config["emotion"]
EMOTION_RUNS = selected_runs(EMOTION)
EMOTION_NETWORKS = [
    name for name, run in EMOTION["runs"].items() if run["method"] != "tfidf"
]
EMOTION_TFIDF = [
    name for name, run in EMOTION["runs"].items() if run["method"] == "tfidf"
]
EMOTION_DATA = sorted({run["data"] for run in EMOTION_RUNS.values()})
# Name and seed of the predictions that every other run is held against.
EMOTION_BASELINE = (
    EMOTION["baseline"],
    EMOTION["runs"][EMOTION["baseline"]]["seeds"][0],
)


def emotion_recipe(wildcards):
    """What decides how a run is trained: not its seeds, nor how it is judged."""
    run = EMOTION["runs"][wildcards.run]
    return {key: run[key] for key in run if key not in ("protocol", "seeds", "data")}


def emotion_data_of(pattern):
    """An input function: *pattern* for the data set of the wildcard `run`."""
    return lambda wildcards: pattern.format(data=EMOTION["runs"][wildcards.run]["data"])


def emotion_model_of(wildcards):
    """The manifest of the pretrained model of a run, if it has one."""
    model = EMOTION["runs"][wildcards.run].get("model")
    return f"<resources>/models/{model}/manifest.json" if model else []


def emotion_run(wildcards):
    """A run's own block of the configuration, less the list of its seeds."""
    run = EMOTION["runs"][wildcards.run]
    return {key: run[key] for key in run if key != "seeds"}


def emotion_dataset_entry(wildcards):
    """The registry's entry of a run's data set."""
    return dataset_entry(EMOTION["runs"][wildcards.run]["data"])


def emotion_model_entry(wildcards):
    """The registry's entry of a run's pretrained model, if it has one."""
    return REGISTRIES.models.get(EMOTION["runs"][wildcards.run].get("model"))


def emotion_baseline_of(wildcards):
    """Predictions of the baseline, where the run is another on the same data."""
    name, seed = EMOTION_BASELINE
    runs = EMOTION["runs"]
    if wildcards.run == name or runs[wildcards.run]["data"] != runs[name]["data"]:
        return []
    return f"<results>/emotion/{name}/seed{seed}/predictions.jsonl"


def emotion_results(filename, runs=None):
    """*filename* in the folder of every selected run (or of those of *runs*) and seed."""
    return [
        f"<results>/emotion/{name}/seed{seed}/{filename}"
        for name, run in EMOTION_RUNS.items()
        if runs is None or name in runs
        for seed in run["seeds"]
    ]


def emotion_data_files(filename):
    """*filename* in the folder of every data set that a selected run uses."""
    return [f"<results>/emotion/data/{name}/{filename}" for name in EMOTION_DATA]


def emotion_exports():
    """What is exported: the first seed of the runs that `export` names."""
    return [
        f"<results>/emotion/{name}/seed{EMOTION['runs'][name]['seeds'][0]}/export/export.json"
        for name in EMOTION["export"]
    ]


def emotion_noise_target():
    """The search for wrong labels, in the data set that `label_noise` names."""
    return f"<results>/emotion/data/{EMOTION['label_noise']['data']}/label_noise.json"


def emotion_data_targets(wildcards):
    return [*emotion_data_files("audit.json"), emotion_noise_target()]


def emotion_targets(wildcards):
    return [
        *emotion_data_targets(wildcards),
        *emotion_results("metrics.json"),
        *emotion_results("figures/training_curves.svg", EMOTION_NETWORKS),
        *emotion_results("model_card.md"),
        *emotion_exports(),
        "<results>/emotion/comparison.json",
    ]


WING_TARGETS["emotion"] = emotion_targets
