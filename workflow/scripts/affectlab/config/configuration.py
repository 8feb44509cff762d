"""The configuration as a whole: what all experiments share, and a block for each of them."""

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import Field, create_model

from affectlab.config.entries import Datasets, Models
from affectlab.config.load import as_mapping
from affectlab.config.models import DIFFERENT, Section, Text, block, inner_section
from affectlab.config.resolve import completed, inherited

Blocks = Mapping[str, type[Section]]
"""Name of an experiment -> the model of its block."""


class PathVariables(Section):
    """Snakemake's path variables: where things are written, under the run directory."""

    results: Text = Field("results", description="Records, models, scores, report.")
    resources: Text = Field("resources", description="What was fetched.")
    logs: Text = Field("logs", description="One log per job.")
    benchmarks: Text = Field("logs/benchmarks", description="Time and memory of each job.")


class Shared(Section):
    """The configuration of affectlab."""

    data_root: Text | None = Field(
        None, description="Folder with local copies of data sets; null: none."
    )
    model_root: Text | None = Field(
        None, description="Folder with local copies of models; null: none."
    )
    on_bad_record: Literal["fail", "skip"] = Field(
        "fail", description="What to do with a record that cannot be read."
    )
    similar_names: Literal["refuse", "merge"] = Field(
        "refuse",
        description="What to do with names that differ in case, white space or Unicode form only.",
    )
    datasets: Datasets = Field(
        {}, description="Data sets of your own, in the form of datasets.yaml."
    )
    models: Models = Field({}, description="Models of your own, in the form of models.yaml.")
    pathvars: PathVariables = block()


def configuration(blocks: Blocks) -> type[Section]:
    """The model of the whole configuration, with the *blocks* of the experiments."""
    return _configuration(tuple(blocks.items()))


@cache
def _configuration(blocks: tuple[tuple[str, type[Section]], ...]) -> type[Section]:
    names = [name for name, _ in blocks]
    # Any: the types are made here.
    fields: dict[str, Any] = {
        "experiments": (
            Annotated[list[Literal[tuple(names)]], *DIFFERENT],  # type: ignore[misc]
            Field(names, min_length=1, description="The experiments that are run by default."),
        ),
        **{name: (model, block()) for name, model in blocks},
    }
    return create_model("Configuration", __base__=Shared, __doc__=Shared.__doc__, **fields)


def resolve(config: Mapping[str, Any], blocks: Blocks) -> tuple[dict[str, Any], list[str]]:
    """What *config* comes to: runs with what they take over, and every default.

    Resolving it again changes nothing.

    Args:
        config: as it was read and merged; it need not be valid.
        blocks: the experiments' models.

    Returns:
        The complete configuration; mistakes in the names under ``like``.
    """
    merged, mistakes = dict(config), list[str]()
    for name, model in blocks.items():
        given = config.get(name)
        inside = inner_section(model.model_fields["runs"].annotation)
        runs = as_mapping(given).get("runs")
        if isinstance(given, Mapping) and isinstance(runs, Mapping) and inside:
            complete, found = inherited(inside[1], runs, f"{name}.runs")
            merged[name] = {**given, "runs": complete}
            mistakes += found
    whole: dict[str, Any] = completed(configuration(blocks), merged)
    return whole, mistakes
