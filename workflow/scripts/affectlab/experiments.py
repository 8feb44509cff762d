"""The experiments, and the configuration as a whole.

Light, like `config.load`: every Snakemake process imports it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from affectlab.assets.status import AssetStatus, asset_status
from affectlab.audio import settings as audio
from affectlab.config.load import (
    Registries,
    as_mapping,
    folder_mistakes,
    key_mistakes,
    listed,
    load_registries,
    load_schema,
    schema_mistakes,
)
from affectlab.emotion import settings as emotion
from affectlab.entity import settings as entity
from affectlab.errors import ConfigError
from affectlab.face import settings as face
from affectlab.summary import settings as summary


class Settings(Protocol):
    """What the module ``settings`` of an experiment tells about its block of the configuration."""

    def mistakes(self, block: Mapping[str, Any], registries: Registries) -> Iterator[str]:
        """Mistakes between parts that are well formed, each with its dotted path.

        Parts that the schema rejects are passed over, so both checks can run on one broken
        configuration.
        """

    def needed_assets(self, block: Mapping[str, Any]) -> tuple[set[str], set[str]]:
        """Names of the data sets and of the models that a valid block needs."""


SETTINGS: Mapping[str, Settings] = {
    "face": face,
    "entity": entity,
    "emotion": emotion,
    "summary": summary,
    "audio": audio,
}


def validate_config(config: dict[str, Any], project: Path) -> Registries:
    """Check *config* against the schema, the registries and itself.

    Returns:
        The registries, the configuration's own entries included.

    Raises:
        ConfigError: lists all mistakes at once, each with its dotted path, what
            was found, and the nearest valid name where one is near.
    """
    registries = load_registries(project, config)
    mistakes = schema_mistakes(config, load_schema(project, "config"))
    mistakes += [*key_mistakes(config), *folder_mistakes(config)]
    for name in ("datasets", "models"):
        if isinstance(config.get(name), dict):
            mistakes += schema_mistakes(config[name], load_schema(project, name), (name,))
    for name, settings in SETTINGS.items():
        mistakes += settings.mistakes(as_mapping(config.get(name)), registries)
    if mistakes:
        raise ConfigError(listed("the configuration", mistakes))
    return registries


def needed_assets(config: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Names of the data sets and of the models that a valid *config* needs, sorted."""
    datasets: set[str] = set()
    models: set[str] = set()
    for name in config["experiments"]:
        of_data, of_models = SETTINGS[name].needed_assets(config[name])
        datasets |= of_data
        models |= of_models
    return sorted(datasets), sorted(models)


def experiments_without(config: Mapping[str, Any], assets: set[tuple[str, str]]) -> list[str]:
    """The experiments of a valid *config* that need none of *assets*, pairs of kind and name."""
    found = []
    for name in config["experiments"]:
        datasets, models = SETTINGS[name].needed_assets(config[name])
        needed = {("dataset", one) for one in datasets} | {("model", one) for one in models}
        if not needed & assets:
            found.append(name)
    return found


def check_config(
    config: Mapping[str, Any], registries: Registries, resources: Path | str
) -> list[AssetStatus]:
    """Where everything that a valid *config* needs stands: data sets, then models."""
    datasets, models = needed_assets(config)
    return [
        asset_status("dataset", name, registries.datasets[name], config["data_root"], resources)
        for name in datasets
    ] + [
        asset_status("model", name, registries.models[name], config["model_root"], resources)
        for name in models
    ]
