# What the rules of the entity experiment ask of the configuration.

from affectlab.entity.settings import selected_runs, stage_data

ENTITY = config["entity"]
ENTITY_RUNS = selected_runs(ENTITY)
ENTITY_DATA = sorted({name for run in ENTITY_RUNS.values() for name in stage_data(run)})


def entity_layout(wildcards):
    """How the raw files of a data set are laid out."""
    return REGISTRIES.datasets[wildcards.data]["layout"]


def entity_split(wildcards):
    """How a corpus without splits of its own is dealt out; None where it has them."""
    return ENTITY["split"] if entity_layout(wildcards) == "entity_spans" else None


def entity_expected(wildcards):
    """What the registry expects of a data set."""
    return REGISTRIES.datasets[wildcards.data].get("expected", {})


def entity_recipe(wildcards):
    """What decides how a run is trained: neither its seeds nor its protocol's name."""
    run = ENTITY["runs"][wildcards.run]
    return {key: run[key] for key in run if key not in ("protocol", "seeds")}


def entity_run(wildcards):
    """A run's own block of the configuration, less the list of its seeds."""
    run = ENTITY["runs"][wildcards.run]
    return {key: run[key] for key in run if key != "seeds"}


def entity_stage_data(wildcards):
    """Names of the data sets that a run trains on."""
    return stage_data(ENTITY["runs"][wildcards.run])


def entity_stage_files(filename):
    """An input function: *filename* of every data set that the run trains on."""
    return lambda wildcards: [
        f"<results>/entity/data/{name}/{filename}"
        for name in entity_stage_data(wildcards)
    ]


def entity_data_of(pattern):
    """An input function: *pattern* for the data set that the run is scored on."""
    return lambda wildcards: pattern.format(data=ENTITY["runs"][wildcards.run]["data"])


def entity_model_of(wildcards):
    """The manifest of the pretrained encoder of a run."""
    return f"<resources>/models/{ENTITY['runs'][wildcards.run]['model']}/manifest.json"


def entity_origin_of(wildcards):
    """The model of the same seed that a run starts from, if it does."""
    origin = ENTITY["runs"][wildcards.run]["start_from"]
    return f"<results>/entity/{origin}/seed{wildcards.seed}/model" if origin else []


def entity_dataset_entries(wildcards):
    """Registry entries of all data sets that a run's weights saw."""
    run = ENTITY["runs"][wildcards.run]
    names = set(stage_data(run))
    if run["start_from"]:
        names.update(stage_data(ENTITY["runs"][run["start_from"]]))
    return {name: dataset_entry(name) for name in sorted(names)}


def entity_model_entry(wildcards):
    """The registry's entry of a run's pretrained encoder."""
    return REGISTRIES.models[ENTITY["runs"][wildcards.run]["model"]]


def entity_results(filename):
    """*filename* in the folder of every selected run and seed."""
    return [
        f"<results>/entity/{name}/seed{seed}/{filename}"
        for name, run in ENTITY_RUNS.items()
        for seed in run["seeds"]
    ]


def entity_data_files(filename):
    """*filename* in the folder of every data set that a selected run uses."""
    return [f"<results>/entity/data/{name}/{filename}" for name in ENTITY_DATA]


def entity_targets(wildcards):
    return [
        *entity_data_files("audit.json"),
        *entity_results("metrics.json"),
        *entity_results("figures/training_curves.svg"),
        *entity_results("model_card.md"),
        "<results>/entity/comparison.json",
    ]


WING_TARGETS["entity"] = entity_targets
