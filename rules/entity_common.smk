# What the rules of the entity experiment ask of the configuration.

from affectlab.entity.settings import selected_runs, stage_data

ENTITY = config["entity"]
ENTITY_SELECTED = selected_runs(ENTITY)
ENTITY_RUNS = Runs(
    "entity",
    ENTITY_SELECTED,
    data={name for run in ENTITY_SELECTED.values() for name in stage_data(run)},
)
# What rules receive of a run, the text of its own prompt included.
ENTITY_RUNS.blocks = {name: with_template(run) for name, run in ENTITY["runs"].items()}
ENTITY_ENDPOINTS = [name for name, run in ENTITY["runs"].items() if asks_endpoint(run)]
ENTITY_PROMPTED = set(ENTITY_RUNS.of_method("prompt")) - set(ENTITY_ENDPOINTS)
ENTITY_OUTSIDE = [name for name in ENTITY["runs"] if ENTITY_RUNS.is_outside(name)]
ENTITY_TRAINED = [name for name in ENTITY["runs"] if name not in ENTITY_OUTSIDE]


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
    run = ENTITY_RUNS[wildcards.run]
    origin = run["start_from"]
    if not origin:
        return []
    fold = fold_of(wildcards)
    # Without this, the model would have been trained on what its fold holds out.
    same_data = run["data"] in stage_data(ENTITY_RUNS[origin])
    folder = f"fold{fold}/" if fold is not None and same_data else ""
    return f"<results>/entity/{origin}/seed{wildcards.seed}/{folder}model"


def entity_models(name, seed):
    """The models that predicted what a run and seed is scored by: one, or one of each fold.

    Of somebody else's predictions there is none.
    """
    if name in ENTITY_OUTSIDE:
        return []
    folder, folds = f"<results>/entity/{name}/seed{seed}", ENTITY_RUNS.folds(name)
    return [f"{folder}/fold{fold}/model" for fold in range(folds)] or [
        f"{folder}/model"
    ]


def entity_scored_models(wildcards):
    ENTITY_RUNS.check_seed(wildcards)
    return entity_models(wildcards.run, wildcards.seed)


def entity_audit_of_outside(wildcards):
    """The audit of the data, if somebody else predicted: which texts are known from training."""
    return (
        ENTITY_RUNS.data_of_run("audit.json")(wildcards)
        if wildcards.run in ENTITY_OUTSIDE
        else []
    )


def entity_updates_figure():
    """The figure of the courses, if a selected run is trained."""
    if set(ENTITY_SELECTED) <= set(ENTITY_OUTSIDE):
        return []
    return ["<results>/entity/figures/updates.svg"]


def entity_compared_models(wildcards):
    """These models of every selected run and seed."""
    return [
        path
        for name, run in ENTITY_SELECTED.items()
        for seed in run["seeds"]
        for path in entity_models(name, seed)
    ]


def entity_numbers_of_models(wildcards):
    """How many of these models each selected run and seed has."""
    return [
        len(entity_models(name, seed))
        for name, run in ENTITY_SELECTED.items()
        for seed in run["seeds"]
    ]


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
        *ENTITY_RUNS.results("figures/training_curves.svg", ENTITY_TRAINED),
        *ENTITY_RUNS.results("model_card.md", ENTITY_TRAINED),
        *entity_updates_figure(),
        "<results>/entity/comparison.json",
    ]


EXPERIMENT_TARGETS["entity"] = entity_targets
NETWORKS["entity"] = ENTITY_TRAINED
