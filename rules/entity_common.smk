# What the rules of the entity experiment ask of the configuration.

from affectlab.entity.settings import selected_runs, stage_data

ENTITY = config["entity"]
ENTITY_SELECTED = selected_runs(ENTITY)
ENTITY_RUNS = Runs(
    "entity",
    ENTITY_SELECTED,
    data={name for run in ENTITY_SELECTED.values() for name in stage_data(run)},
)


def entity_split(wildcards):
    """How a corpus without splits of its own is dealt out; None where it has them."""
    return ENTITY["split"] if data_layout(wildcards) == "entity_spans" else None


def entity_stage_data(wildcards):
    """Names of the data sets that a run trains on."""
    return stage_data(ENTITY_RUNS[wildcards.run])


def entity_stage_files(filename):
    """An input function: *filename* of every data set that the run trains on."""
    return lambda wildcards: [
        f"<results>/entity/data/{name}/{filename}"
        for name in entity_stage_data(wildcards)
    ]


def entity_origin_of(wildcards):
    """The model of the same seed that a run starts from, if it does."""
    origin = ENTITY_RUNS[wildcards.run]["start_from"]
    return f"<results>/entity/{origin}/seed{wildcards.seed}/model" if origin else []


def entity_dataset_entries(wildcards):
    """Registry entries of all data sets that a run's weights saw."""
    run = ENTITY_RUNS[wildcards.run]
    names = set(stage_data(run))
    if run["start_from"]:
        names.update(stage_data(ENTITY_RUNS[run["start_from"]]))
    return {name: dataset_entry(name) for name in sorted(names)}


def entity_card_audits(wildcards):
    """audit.json of each of these data sets, in the same order."""
    return [
        f"<results>/entity/data/{name}/audit.json"
        for name in entity_dataset_entries(wildcards)
    ]


def entity_targets(wildcards):
    return [
        *ENTITY_RUNS.data_files("audit.json"),
        *ENTITY_RUNS.results("metrics.json"),
        *ENTITY_RUNS.results("figures/training_curves.svg"),
        *ENTITY_RUNS.results("model_card.md"),
        "<results>/entity/figures/updates.svg",
        "<results>/entity/comparison.json",
    ]


EXPERIMENT_TARGETS["entity"] = entity_targets
NETWORKS["entity"] = ENTITY["runs"]
