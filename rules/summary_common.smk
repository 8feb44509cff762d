# What the rules of the summary experiment ask of the configuration.

from affectlab.summary.methods import (
    BASELINE_METHODS,
    OWN_LAYOUT,
    TRAINED_METHODS,
    training_part,
)
from affectlab.summary.own_prompts import with_templates
from affectlab.summary.settings import SCORING_MODELS, baseline_in_use
from affectlab.summary.settings import selected_runs as selected_summary_runs

SUMMARY = config["summary"]
# A language model that is prompted is one of the models here.
SUMMARY_RUNS = Runs("summary", selected_summary_runs(SUMMARY), outside=(OUTSIDE,))
# What rules receive of a run, its own prompt included.
SUMMARY_RUNS.blocks = with_templates(SUMMARY["runs"])
SUMMARY_BASELINE_RUN = baseline_in_use(SUMMARY)
# Name and seed of the summaries that every other run on the same cases is compared with.
SUMMARY_BASELINE = (
    SUMMARY_BASELINE_RUN,
    SUMMARY_RUNS.first_seed(SUMMARY_BASELINE_RUN),
)
SUMMARY_TRAINED = [
    name for name, run in SUMMARY["runs"].items() if run["method"] in TRAINED_METHODS
]
SUMMARY_BASELINES = [
    name for name, run in SUMMARY["runs"].items() if run["method"] in BASELINE_METHODS
]
# Trained on data that are cross-validated: a model for each fold, and one of all that is kept.
SUMMARY_FOLDED = SUMMARY_RUNS.with_folds(SUMMARY_TRAINED)
SUMMARY_OUTSIDE = [name for name in SUMMARY["runs"] if SUMMARY_RUNS.is_outside(name)]
SUMMARY_MODELS = [
    name
    for name in SUMMARY["runs"]
    if name not in (*SUMMARY_BASELINES, *SUMMARY_OUTSIDE)
]


def summary_recipe(*without):
    """A params function: `Runs.recipe`, in a fold of a cross-validation with its number."""

    def recipe(wildcards):
        fold = fold_of(wildcards)
        part = {} if fold is None else {"fold": fold}
        return SUMMARY_RUNS.recipe(*without)(wildcards) | part

    return recipe


def summary_trained(filename):
    """An input function: *filename* in the run's folder, if the run is trained."""
    return lambda wildcards: (
        f"<results>/summary/{wildcards.run}/seed{wildcards.seed}/{filename}"
        if wildcards.run in SUMMARY_TRAINED
        else []
    )


def summary_baseline_of(wildcards):
    """Predictions and details of the baseline, where the run is another on the same cases."""
    name = SUMMARY_BASELINE_RUN
    run, baseline = SUMMARY_RUNS[wildcards.run], SUMMARY_RUNS[name]
    if wildcards.run == name or any(
        run[key] != baseline[key] for key in ("data", "fold")
    ):
        return []
    return [
        SUMMARY_RUNS.of_first_seed(name, filename)
        for filename in ("predictions.jsonl", "details.jsonl")
    ]


def summary_judge_of(wildcards):
    """Marks of the run, if a judge is configured: for the benchmark's own task only."""
    data = SUMMARY_RUNS[wildcards.run]["data"]
    if SUMMARY["judge"] is None or REGISTRIES.datasets[data]["layout"] != "longemotion":
        return []
    return f"<results>/summary/{wildcards.run}/seed{wildcards.seed}/judge.json"


def summary_neural_of(wildcards):
    """Scores of the run by further models, if one is configured."""
    if not any(SUMMARY[key] for key in SCORING_MODELS):
        return []
    return f"<results>/summary/{wildcards.run}/seed{wildcards.seed}/neural.json"


def summary_model_languages(wildcards):
    """Languages that a run's model was made for, if its data are the user's own."""
    data = SUMMARY_RUNS[wildcards.run]["data"]
    if REGISTRIES.datasets[data]["layout"] != OWN_LAYOUT:
        return []
    return (SUMMARY_RUNS.model_entry(wildcards) or {}).get("languages", [])


def summary_scoring_model(key):
    """An input function: the manifest of the model that `summary.KEY` names, if it names one."""
    return lambda wildcards: (
        f"<resources>/models/{SUMMARY[key]}/manifest.json" if SUMMARY[key] else []
    )


def summary_data_targets(wildcards):
    return [
        *SUMMARY_RUNS.data_files("audit.json"),
        *(
            f"<results>/summary/{name}/lengths.json"
            for name in SUMMARY_RUNS.selected
            if name in SUMMARY_MODELS
        ),
    ]


def summary_targets(wildcards):
    return [
        *summary_data_targets(wildcards),
        *SUMMARY_RUNS.results("metrics.json"),
        *SUMMARY_RUNS.results("figures/training_curves.svg", SUMMARY_TRAINED),
        *SUMMARY_RUNS.results("model_card.md", SUMMARY_TRAINED),
        "<results>/summary/comparison.json",
    ]


EXPERIMENT_TARGETS["summary"] = summary_targets
NETWORKS["summary"] = SUMMARY_TRAINED
