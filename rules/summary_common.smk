# What the rules of the summary experiment ask of the configuration.

from affectlab.summary.settings import BASELINE_METHODS, SCORING_MODELS
from affectlab.summary.settings import selected_runs as selected_summary_runs
from affectlab.summary.settings import training_part

SUMMARY = config["summary"]
SUMMARY_RUNS = selected_summary_runs(SUMMARY)
SUMMARY_TRAINED = [
    name for name, run in SUMMARY["runs"].items() if run["method"] in ("lora", "qlora")
]
SUMMARY_BASELINES = [
    name for name, run in SUMMARY["runs"].items() if run["method"] in BASELINE_METHODS
]
SUMMARY_MODELS = [name for name in SUMMARY["runs"] if name not in SUMMARY_BASELINES]
# Runs whose answers are scored together, over all folds; each with its first seed.
SUMMARY_POOLED = list(
    dict.fromkeys(
        name for members in SUMMARY["cross_validation"].values() for name in members
    )
)
SUMMARY_DATA = sorted({run["data"] for run in SUMMARY_RUNS.values()})
# Name and seed of the summaries that every other run on the same cases is held against.
SUMMARY_BASELINE = (
    SUMMARY["baseline"],
    SUMMARY["runs"][SUMMARY["baseline"]]["seeds"][0],
)


def summary_recipe(*without):
    """A params function: a run's block of the configuration less the keys that do not matter."""
    return lambda wildcards: {
        key: value
        for key, value in SUMMARY["runs"][wildcards.run].items()
        if key not in without
    }


def summary_data_of(pattern):
    """An input function: *pattern* for the data set of the wildcard `run`."""
    return lambda wildcards: pattern.format(data=SUMMARY["runs"][wildcards.run]["data"])


def summary_model_of(wildcards):
    """The manifest of the pretrained model of a run, if it has one."""
    model = SUMMARY["runs"][wildcards.run].get("model")
    return f"<resources>/models/{model}/manifest.json" if model else []


def summary_trained(filename):
    """An input function: *filename* in the run's folder, if the run is trained."""
    return lambda wildcards: (
        f"<results>/summary/{wildcards.run}/seed{wildcards.seed}/{filename}"
        if wildcards.run in SUMMARY_TRAINED
        else []
    )


def summary_baseline_of(wildcards):
    """Predictions and details of the baseline, where the run is another on the same cases."""
    name, seed = SUMMARY_BASELINE
    run, baseline = SUMMARY["runs"][wildcards.run], SUMMARY["runs"][name]
    if wildcards.run == name or any(
        run[key] != baseline[key] for key in ("data", "fold")
    ):
        return []
    folder = f"<results>/summary/{name}/seed{seed}"
    return [f"{folder}/predictions.jsonl", f"{folder}/details.jsonl"]


def summary_dataset_entry(wildcards):
    """The registry's entry of a run's data set."""
    return dataset_entry(SUMMARY["runs"][wildcards.run]["data"])


def summary_results(filename, runs=None):
    """*filename* in the folder of every selected run (or of those of *runs*) and seed."""
    return [
        f"<results>/summary/{name}/seed{seed}/{filename}"
        for name, run in SUMMARY_RUNS.items()
        if runs is None or name in runs
        for seed in run["seeds"]
    ]


def summary_judged():
    """Runs whose summaries a judge sees: those of the benchmark's own task."""
    return [
        name
        for name, run in SUMMARY_RUNS.items()
        if SUMMARY["judge"] is not None
        and REGISTRIES.datasets[run["data"]]["layout"] == "longemotion"
    ]


def summary_pooled(filename):
    """*filename* in the folder of the first seed of every run that is scored with others."""
    return [
        f"<results>/summary/{name}/seed{SUMMARY['runs'][name]['seeds'][0]}/{filename}"
        for name in SUMMARY_POOLED
    ]


def summary_scoring_model(key):
    """An input function: the manifest of the model that `summary.KEY` names, if it names one."""
    return lambda wildcards: (
        f"<resources>/models/{SUMMARY[key]}/manifest.json" if SUMMARY[key] else []
    )


def summary_data_targets(wildcards):
    return [
        *(f"<results>/summary/data/{name}/audit.json" for name in SUMMARY_DATA),
        *(
            f"<results>/summary/{name}/lengths.json"
            for name in SUMMARY_RUNS
            if name in SUMMARY_MODELS
        ),
    ]


def summary_targets(wildcards):
    return [
        *summary_data_targets(wildcards),
        *summary_results("metrics.json"),
        *summary_results("judge.json", summary_judged()),
        *(
            summary_results("neural.json")
            if any(SUMMARY[key] for key in SCORING_MODELS)
            else []
        ),
        *summary_results("figures/training_curves.svg", SUMMARY_TRAINED),
        *summary_results("model_card.md", SUMMARY_TRAINED),
        "<results>/summary/comparison.json",
        *(["<results>/summary/pooled.json"] if SUMMARY_POOLED else []),
    ]


WING_TARGETS["summary"] = summary_targets
