"""The registry of experiments, and the configuration as a whole.

No other Python module names all experiments. What is heavy is given by dotted names.

Light, like `config.load`: every Snakemake process imports it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from affectlab.assets.status import AssetStatus, asset_status, format_table
from affectlab.config.checks import (
    folder_mistakes,
    key_mistakes,
    outside_file_mistakes,
    type_mistakes,
)
from affectlab.config.configuration import configuration, resolve
from affectlab.config.experiment import Experiment, Judged
from affectlab.config.load import as_mapping, load_config
from affectlab.config.messages import listed
from affectlab.config.models import Section
from affectlab.config.registries import Registries, entry_mistakes, load_registries, whole_entries
from affectlab.errors import ConfigError

_ALL = (
    Experiment(
        name="face",
        title="Faces",
        question="Which expression do raters see in a face?",
        settings="affectlab.face.settings",
        overlay="affectlab.face.overlay:overlay",
        data_export="affectlab.face.data_export:export_faces",
        plan="affectlab.face.plan:read_plannable",
        subgroups="affectlab.face.subgroups:of_images",
        records="metadata.csv",
        judged=Judged("images", ("accuracy",), "has the same pixels as one"),
        commands="affectlab.face.cli:add_commands",
        report_section="affectlab.face.report:section",
        prediction_schema="predictions_face",
        model_files=("config.json:test_time",),
        generators={
            "face": "affectlab.samples.face:write_corpus",
            "face_votes": "affectlab.samples.face:write_votes",
        },
        model_generators={
            "resnet": "affectlab.samples.models:write_tiny_resnet",
            "vit": "affectlab.samples.models:write_tiny_vit",
        },
    ),
    Experiment(
        name="entity",
        title="Spans and sentences",
        question="Which emotion does a text ascribe to a span?",
        settings="affectlab.entity.settings",
        overlay="affectlab.entity.overlay:overlay",
        plan="affectlab.entity.plan:read_plannable",
        subgroups="affectlab.entity.subgroups:of_spans",
        judged=Judged("spans", ("accuracy",), "is in a text that reads like one"),
        commands="affectlab.entity.cli:add_commands",
        report_section="affectlab.entity.report:section",
        prediction_schema="predictions_entity",
        model_files=("gbert.json",),
        generators={
            "entity_spans": "affectlab.samples.entity:write_spans",
            "entity_spans_1800": "affectlab.samples.entity:write_spans_1800",
            "goemotions": "affectlab.samples.entity:write_goemotions",
        },
        model_generators={
            "roberta": "affectlab.samples.models:write_tiny_roberta",
        },
    ),
    Experiment(
        name="emotion",
        title="Short texts",
        question="Which emotion was a short text labelled with?",
        settings="affectlab.emotion.settings",
        overlay="affectlab.emotion.overlay:overlay",
        plan="affectlab.emotion.plan:read_plannable",
        subgroups="affectlab.datasets.subgroups:of_tables",
        judged=Judged("texts", ("accuracy", "macro_f1", "ccc"), "reads like one"),
        commands="affectlab.emotion.cli:add_commands",
        report_section="affectlab.emotion.report:section",
        prediction_schema="predictions_emotion",
        model_files=("tfidf.json", "config.json:id2label"),
        generators={
            "emotion": "affectlab.samples.emotion:write_corpus",
        },
        model_generators={
            "bert": "affectlab.samples.models:write_tiny_bert",
            "qwen3": "affectlab.samples.models:write_tiny_qwen3",
        },
    ),
    Experiment(
        name="summary",
        title="Summaries of cases",
        question="Can a model write what a person wrote about a text?",
        settings="affectlab.summary.settings",
        overlay="affectlab.summary.overlay:overlay",
        plan="affectlab.summary.plan:read_plannable",
        subgroups="affectlab.datasets.subgroups:of_tables",
        judged=Judged("cases", ("rouge_l",), None),
        commands="affectlab.summary.cli:add_commands",
        report_section="affectlab.summary.report:section",
        prediction_schema="predictions_summary",
        model_files=("summary.json",),
        generators={
            "longemotion": "affectlab.samples.summary:write_longemotion",
            "psyqa": "affectlab.samples.summary:write_psyqa",
        },
        model_generators={
            "qwen2": "affectlab.samples.summary_models:write_tiny_qwen2",
        },
    ),
    Experiment(
        name="audio",
        title="Speech",
        question="Does a frozen encoder of speech know the label of a recording?",
        settings="affectlab.audio.settings",
        overlay="affectlab.audio.overlay:overlay",
        plan="affectlab.audio.plan:read_plannable",
        subgroups="affectlab.audio.subgroups:of_recordings",
        judged=Judged("recordings", ("uar", "macro_f1", "ccc"), None, divided=False),
        commands="affectlab.audio.cli:add_commands",
        report_section="affectlab.audio.report:section",
        prediction_schema="predictions_audio",
        model_files=("probe.json",),
        generators={
            "eatd": "affectlab.samples.audio:write_corpus",
        },
        model_generators={
            "clap": "affectlab.samples.audio_models:write_tiny_clap",
            "ge2e": "affectlab.samples.audio_models:write_tiny_ge2e",
            "qwen2_audio": "affectlab.samples.audio_models:write_tiny_qwen2_audio",
            "whisper": "affectlab.samples.audio_models:write_tiny_whisper",
        },
    ),
)

EXPERIMENTS: Mapping[str, Experiment] = {one.name: one for one in _ALL}
"""Name -> experiment, in the order of the documentation."""

GENERATORS: Mapping[str, str] = {
    name: dotted for one in _ALL for name, dotted in one.generators.items()
}
"""Name of a generator of data -> its dotted name."""

MODEL_GENERATORS: Mapping[str, str] = {
    name: dotted for one in _ALL for name, dotted in one.model_generators.items()
}
"""Name of a generator of tiny models -> its dotted name."""


def blocks_of(experiments: Mapping[str, Experiment] = EXPERIMENTS) -> dict[str, type[Section]]:
    """Name of an experiment -> the model of its block."""
    return {name: one.load_settings().Block for name, one in experiments.items()}


def read_config(
    project: Path,
    overlays: Iterable[Path | str] = (),
    experiments: Mapping[str, Experiment] = EXPERIMENTS,
) -> dict[str, Any]:
    """The complete configuration of the checkout *project* with *overlays*, unchecked.

    Raises:
        ConfigError: a file is not a YAML mapping.
        DataError: a file cannot be read.
    """
    return resolve(load_config(project, overlays), blocks_of(experiments))[0]


def validate_config(
    config: Mapping[str, Any], project: Path, experiments: Mapping[str, Experiment] = EXPERIMENTS
) -> tuple[dict[str, Any], Registries]:
    """Complete *config* and check it against the models, the registries and itself.

    Returns:
        The complete configuration: every run has what it takes over from the run under its
        ``like``, and every key that is not given has its default. The registries, the
        configuration's own entries included.

    Raises:
        ConfigError: lists all mistakes at once, each with its dotted path, what
            was found, and the nearest valid name where one is near.
    """
    registries = load_registries(project, config)
    entries = as_mapping(config.get("datasets"))
    if entries:
        config = {**config, "datasets": whole_entries(entries, registries.datasets)}
    blocks = blocks_of(experiments)
    complete, mistakes = resolve(config, blocks)
    mistakes += type_mistakes(configuration(blocks), complete)
    mistakes += [*key_mistakes(complete), *folder_mistakes(complete)]
    layouts = [name for one in experiments.values() for name in sorted(one.load_settings().LAYOUTS)]
    generators = {
        "datasets": [name for one in experiments.values() for name in one.generators],
        "models": [name for one in experiments.values() for name in one.model_generators],
    }
    mistakes += entry_mistakes(complete, registries, layouts, generators)
    for name, one in experiments.items():
        mistakes += one.load_settings().mistakes(as_mapping(complete.get(name)), registries)
        mistakes += outside_file_mistakes(name, as_mapping(complete.get(name)))
    if mistakes:
        raise ConfigError(listed("the configuration", mistakes))
    return complete, registries


def needed_assets(config: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Names of the data sets and of the models that a valid *config* needs, sorted."""
    datasets: set[str] = set()
    models: set[str] = set()
    for name in config["experiments"]:
        of_data, of_models = EXPERIMENTS[name].load_settings().needed_assets(config[name])
        datasets |= of_data
        models |= of_models
    return sorted(datasets), sorted(models)


def experiments_without(config: Mapping[str, Any], assets: set[tuple[str, str]]) -> list[str]:
    """The experiments of a valid *config* that need none of *assets*, pairs of kind and name."""
    found = []
    for name in config["experiments"]:
        datasets, models = EXPERIMENTS[name].load_settings().needed_assets(config[name])
        needed = {("dataset", one) for one in datasets} | {("model", one) for one in models}
        if not needed & assets:
            found.append(name)
    return found


def check_config(
    config: Mapping[str, Any], registries: Registries, resources: Path | str
) -> list[AssetStatus]:
    """The state of everything that a valid *config* needs: data sets, then models."""
    datasets, models = needed_assets(config)
    return [
        asset_status("dataset", name, registries.datasets[name], config["data_root"], resources)
        for name in datasets
    ] + [
        asset_status("model", name, registries.models[name], config["model_root"], resources)
        for name in models
    ]


def check_text(config: Mapping[str, Any], statuses: Sequence[AssetStatus]) -> str:
    """The statuses as a table, what is missing first, and which experiments can run.

    Args:
        config: valid.
        statuses: of what it needs, see `check_config`.
    """
    missing: set[tuple[str, str]] = {
        (one.kind, one.name) for one in statuses if one.state == "missing"
    }
    ready = experiments_without(config, missing)
    waiting = [name for name in config["experiments"] if name not in ready]
    summary = [f"Can run: {', '.join(ready)}."] if ready else []
    if waiting:
        summary.append(f"Cannot run yet, because something is missing: {', '.join(waiting)}.")
    table = format_table(sorted(statuses, key=lambda one: one.state != "missing"))
    return f"{table}\n\n{' '.join(summary)}"
