"""The description of an experiment: names, and dotted names of what is loaded on use.

Light, like `config.load`: every Snakemake process imports it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from affectlab.config.dotted import load
from affectlab.config.models import Section
from affectlab.config.registries import Registries


class Settings(Protocol):
    """What the module ``settings`` of an experiment offers for its block of the configuration."""

    @property
    def Block(self) -> type[Section]:  # noqa: N802 (a class of the module)
        """The model of the block: types, bounds, defaults and descriptions."""

    @property
    def LAYOUTS(self) -> frozenset[str]:  # noqa: N802 (a constant of the module)
        """The layouts of raw data that the experiment reads."""

    def mistakes(self, block: Mapping[str, Any], registries: Registries) -> Iterator[str]:
        """Mistakes between parts that are well formed, each with its dotted path.

        Parts that the model rejects are passed over, so both checks can run on one broken
        configuration.
        """

    def needed_assets(self, block: Mapping[str, Any]) -> tuple[set[str], set[str]]:
        """Names of the data sets and of the models that a valid block needs."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What a verdict on somebody else's predictions is about.

    Attributes:
        items: plural of an item.
        headlines: scores that are judged without a claim; the first that the record has.
        alike: how an item is found that a training item equals; None where it is not looked for.
        divided: whether the data have a test split; else all that is predicted is scored.
    """

    items: str
    headlines: tuple[str, ...]
    alike: str | None
    divided: bool = True


@dataclass(frozen=True, slots=True)
class Experiment:
    """One experiment, as the command line, the rules, the report and the checks use it.

    A dotted name is ``package.module``, or ``package.module:object``. Nothing of it is imported
    before `dotted.load` is called, so the description itself is light.

    Attributes:
        name: of its package, its block of the configuration and its folder of results.
        title: a short heading.
        question: what it asks, in a sentence.
        settings: dotted name of a module that satisfies `Settings`.
        commands: dotted name of a function ``(predict, commands)`` that adds its commands to the
            subparsers of ``affectlab predict`` and of ``affectlab``.
        report_section: dotted name of a function that returns its section of the report, see
            `affectlab.report.page.build`.
        overlay: dotted name of a function ``(path) -> Overlay`` that proposes a configuration for a
            user's own data, see `affectlab.datasets.overlay`; empty if there is none.
        data_export: dotted name of a function ``(folder, target) -> splits and their sizes`` that
            writes the converted data of *folder* as a data set; the default takes
            ``records.jsonl``.
        plan: dotted name of a function ``(folder, block) -> list[Plannable]`` that reads the items
            of a converted data set that runs are scored on, see `affectlab.evaluation.planning`;
            empty if nothing can be planned.
        subgroups: dotted name of a function ``(directory, records, entry) -> ids, rows`` that
            reads the subgroups of the items, see `affectlab.datasets.subgroups.of_tables`; empty
            if its scores are not shown by subgroup.
        judged: what `affectlab referee` judges; None if it has no such verdict.
        records: file with the records of a converted data set.
        prediction_schema: name of the JSON Schema of a line of its predictions.
        model_files: files of which its models have one, each ``file`` or ``file:key`` of JSON.
        generators: name of a generator of data -> dotted name of the function.
        model_generators: the same for generators of tiny models.
    """

    name: str
    title: str
    question: str
    settings: str
    commands: str
    report_section: str
    prediction_schema: str
    overlay: str = ""
    data_export: str = "affectlab.datasets.export:export_records"
    plan: str = ""
    subgroups: str = ""
    judged: Judged | None = None
    records: str = "records.jsonl"
    model_files: tuple[str, ...] = ()
    generators: Mapping[str, str] = field(default_factory=dict)
    model_generators: Mapping[str, str] = field(default_factory=dict)

    def load_settings(self) -> Settings:
        """Import the module of settings."""
        return cast(Settings, load(self.settings))
