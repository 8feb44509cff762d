"""The registries beside the configuration: data sets, pretrained models, published numbers."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from affectlab.config.checks import FLOAT32_BYTES, LARGEST_ONNX_FILE, type_mistakes
from affectlab.config.load import as_mapping, as_names, load_yaml
from affectlab.config.messages import listed, problems, unknown_name
from affectlab.config.models import DIFFERENT, AssetName, Entry, Share, Text, absent
from affectlab.errors import ConfigError

INSIDE = r"(?!/)(?!.*\.\.).+"


def _inside(path: str) -> str:
    if not re.fullmatch(INSIDE, path):
        raise PydanticCustomError("pattern", "leaves its folder", {"pattern": f"^{INSIDE}$"})
    return path


Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Files = Annotated[dict[Annotated[str, AfterValidator(_inside)], Digest | None], Field(min_length=1)]
OF_SOURCE = "Path inside the source -> SHA-256, or null where none is known."
Count = Annotated[int, Field(ge=0)]


class UrlSource(Entry):
    """Files behind plain addresses (http, https or file)."""

    kind: Literal["url"]
    urls: list[Annotated[str, Field(pattern="^(https?|file)://")]] = Field(
        min_length=1,
        description="Of url: addresses (http, https or file), each of which is needed; mirrors are "
        "separate sources.",
    )
    files: Files = absent(OF_SOURCE)


class HubSource(Entry):
    """A repository on the model hub, pinned to a commit."""

    kind: Literal["hub"]
    repo: str = Field(pattern=r"^[\w.-]+/[\w.-]+$", description="Of hub: owner/name.")
    revision: str = Field(
        pattern="^[0-9a-f]{40}$", description="Of hub: a full commit, never a branch."
    )
    files: Files = Field(description=OF_SOURCE)


class SampleSource(Entry):
    """Made on the spot by affectlab.samples."""

    kind: Literal["sample"]
    generator: Text = Field(description="Of sample: which generator of affectlab.samples.")
    seed: int = absent("Of sample: its seed; 0 if not given.", ge=0)


DatasetSource = Annotated[UrlSource | HubSource | SampleSource, Field(discriminator="kind")]


class Facts(Entry):
    """What model cards print about the data, if the audit finds no difference from the registry."""

    languages: Annotated[list[Annotated[str, Field(pattern="^[a-z]{2,3}$")]], *DIFFERENT] = absent(
        "ISO 639 codes, such as en.", min_length=1
    )
    about: Text = absent("What the items are and how they were chosen.")
    people: Text = absent("Who is in the data, and whether they agreed.")
    labels: Text = absent("Where the labels come from.")


class Expected(Entry):
    """What the audit compares the data with."""

    counts: dict[str, Count] = absent("Records per split.")
    classes: dict[str, Count] = absent(
        "Records per class, all splits; of audio, <task>/<class> with subjects or clips. Labels "
        "that are numbers must fit them."
    )
    shares: dict[str, Share] = absent(
        "Share of each class among all labels, where counts are not known. Labels that are numbers "
        "must fit them."
    )
    no_classes: Text = absent("Why neither classes nor shares can be given.")
    known_issues: dict[str, Count] = absent("Known defect -> how often.")


class Dataset(Entry):
    """One data set."""

    title: Text = Field(description="As tables and reports show it.")
    version: Text = Field(description='Of the data; a text, such as "1.0".')
    licence: Text = Field(description="That the authors state, or that they state none.")
    terms: Text = Field(description="What it may be used for.")
    citation: Text = Field(description="What to cite.")
    access: Literal["open", "gated"] = Field(
        description="open: anybody may fetch it from its sources, of which there is at least one; "
        "gated: nobody may hand it on: ask for it, then put it under data_root."
    )
    ask: Text = absent("For a gated set: whom to ask, and how.")
    facts: Facts = absent(str(Facts.__doc__))
    layout: Text = Field(description="Which reader understands its files.")
    unpack: bool = absent("false: a local zip archive is left as it is, and read in place.")
    sources: list[DatasetSource] = Field(
        description="Tried in this order; empty (gated only): only a local copy under data_root "
        "serves."
    )
    files: Files = absent(
        "Of a local copy: path inside it -> SHA-256, or null where none is known."
    )
    expected: Expected = absent(str(Expected.__doc__))


class PackageSource(Entry):
    """Weights that a Python package carries."""

    kind: Literal["package"]
    package: Literal["minilm", "mpnet", "smollm2", "multilingual-e5-small", "resemblyzer"] = Field(
        description="Of package: which converter unpacks it."
    )
    requirements: list[Annotated[str, Field(pattern=r"^[\w.-]+==[\w.]+$")]] = Field(
        min_length=1,
        description="Of package: the exact releases; several where weights are split, in order.",
    )
    files: Files = absent(OF_SOURCE)


ModelSource = Annotated[
    HubSource | UrlSource | PackageSource | SampleSource, Field(discriminator="kind")
]


class Model(Entry):
    """One pretrained model."""

    kind: Literal[
        "text-encoder", "causal-lm", "image-encoder", "audio-encoder", "audio-checkpoint"
    ] = Field(
        description="What it can be used as; audio-checkpoint: a single file of weights, as "
        "AF-CLAP comes."
    )
    title: Text = Field(description="As tables and reports show it.")
    licence: Text = Field(description="That of the weights.")
    parameters: int = Field(ge=1, description="How many weights it has.")
    size_mb: float = Field(gt=0, description="On disk, in megabytes.")
    sources: list[ModelSource] = Field(
        description="Tried in this order; empty: only a local copy under model_root serves."
    )


class ReferenceResult(Entry):
    """One published number."""

    experiment: Text = Field(description="Name of the experiment.")
    id: str = Field(pattern="^[a-z0-9_-]+$", description="Name of the number.")
    name: Text = Field(description="As the table prints it.")
    data: Text = Field(description="Registry name of the data set.")
    split: Text = Field(
        description="What it was measured on; in the audio experiment the scheme of prediction."
    )
    n: Annotated[int, Field(ge=1)] | None = Field(description="Items that were scored.")
    metric: str = Field(pattern="^[a-z0-9_]+$", description="What was measured.")
    value: float = Field(description="The number.")
    ci: Annotated[list[float], Field(min_length=2, max_length=2)] | None = absent(
        "Its confidence interval, if one is printed."
    )
    verified: bool = Field(description="Whether somebody else measured it again.")
    source: Text = Field(description="Where the number is printed.")
    runs: list[Text] = absent(
        "Runs of ours that the number is compared with; empty: all on that data."
    )
    note: Text = absent("What else a reader must know.")


Datasets = dict[AssetName, Dataset]
Models = dict[AssetName, Model]
KINDS = {"datasets": Datasets, "models": Models, "reference_results": list[ReferenceResult]}


@dataclass(frozen=True, slots=True)
class Registries:
    """What is known beside the configuration: ``datasets.yaml`` and its siblings.

    Attributes:
        datasets: name -> entry.
        models: name -> entry.
        reference_results: published numbers, in the file's order.
    """

    datasets: dict[str, dict[str, Any]]
    models: dict[str, dict[str, Any]]
    reference_results: list[dict[str, Any]]


def load_registries(project: Path, config: Mapping[str, Any]) -> Registries:
    """The registries of the checkout *project*, with the entries that *config* adds to them.

    Raises:
        ConfigError: lists every mistake in the registries' files.
    """
    known = {name: load_yaml(project / "config" / f"{name}.yaml") for name in KINDS}
    mistakes = [
        f"config/{name}.yaml: {mistake}"
        for name, content in known.items()
        for mistake in type_mistakes(KINDS[name], content)
    ]
    if mistakes:
        raise ConfigError(listed("the registries", mistakes))
    return Registries(
        datasets=known["datasets"] | as_mapping(config.get("datasets")),
        models=known["models"] | as_mapping(config.get("models")),
        reference_results=known["reference_results"],
    )


def entry_mistakes(
    config: Mapping[str, Any],
    registries: Registries,
    layouts: Iterable[str],
    generators: Mapping[str, Iterable[str]],
) -> Iterator[str]:
    """Mistakes in the registries that models cannot tell.

    Layouts that no experiment reads, generators that none has, gated data sets that nobody can ask
    for, and open ones that come from nowhere.

    Args:
        config: the configuration, whose own entries are called by their place in it.
        registries: these entries and the shipped ones.
        layouts: known layouts of data sets.
        generators: registry -> names of the generators of its entries.
    """
    for registry, known in generators.items():
        for name, found in getattr(registries, registry).items():
            own = name in as_mapping(config.get(registry))
            path = f"{registry}.{name}" if own else f"config/{registry}.yaml: {name}"
            entry = as_mapping(found)
            yield from _generator_mistakes(path, entry.get("sources"), known)
            if registry == "datasets":
                yield from _choice_mistakes(f"{path}.layout", entry.get("layout"), layouts)
                yield from _access_mistakes(path, entry)


def _choice_mistakes(path: str, value: Any, known: Iterable[str]) -> Iterator[str]:
    if isinstance(value, str) and value and value not in known:
        yield from problems("enum", path, value, list(known), {})


def _generator_mistakes(path: str, sources: Any, known: Iterable[str]) -> Iterator[str]:
    for number, source in enumerate(sources if isinstance(sources, list) else []):
        given = as_mapping(source)
        if given.get("kind") == "sample":
            here = f"{path}.sources.{number}.generator"
            yield from _choice_mistakes(here, given.get("generator"), known)


def _access_mistakes(path: str, entry: Mapping[str, Any]) -> Iterator[str]:
    if entry.get("access") == "gated" and "ask" not in entry:
        yield f"{path}.ask: missing"
    if entry.get("access") == "open" and entry.get("sources") == []:
        yield f"{path}.sources: expected at least 1, found 0"


def dataset_mistakes(
    path: str, name: Any, registries: Registries, layouts: Iterable[str]
) -> Iterator[str]:
    """A mistake if *name* is no data set of the registry, or of a layout not in *layouts*."""
    yield from unknown_name(path, name, registries.datasets, "data set")
    if isinstance(name, str) and name in registries.datasets:
        layout = as_mapping(registries.datasets[name]).get("layout")
        if isinstance(layout, str) and layout not in layouts:
            experiment = path.partition(".")[0]
            yield (
                f"{path}: {name!r} has the layout {layout!r}, which the {experiment} experiment "
                "cannot read"
            )


def model_mistakes(
    path: str, name: Any, registries: Registries, kinds: Iterable[str]
) -> Iterator[str]:
    """A mistake if *name* is no model of the registry, or of a kind not in *kinds*."""
    yield from unknown_name(path, name, registries.models, "model")
    kind = as_mapping(registries.models.get(str(name))).get("kind")
    if isinstance(kind, str) and kind not in kinds:
        yield f"{path}: {name!r} is of the kind {kind}, expected {' or '.join(sorted(kinds))}"


def export_mistakes(
    experiment: str, block: Mapping[str, Any], registries: Registries
) -> Iterator[str]:
    """Names in ``export`` that are no run, or one not carried out or too large for a file."""
    runs, selected = as_mapping(block.get("runs")), as_names(block.get("selected"))
    for position, name in enumerate(as_names(block.get("export"))):
        path = f"{experiment}.export.{position}"
        yield from unknown_name(path, name, runs, "run")
        if name in runs and name not in selected:
            yield (
                f"{path}: the run {name!r} is not selected; set {experiment}.export to runs that "
                "are, or to []"
            )
        model = as_mapping(runs.get(name)).get("model")
        weights = as_mapping(registries.models.get(str(model))).get("parameters")
        if isinstance(weights, int) and weights * FLOAT32_BYTES >= LARGEST_ONNX_FILE:
            yield (
                f"{path}: the {weights:,} weights of {model} are "
                f"{weights * FLOAT32_BYTES / 1e9:.1f} GB in float32, and one ONNX file holds "
                f"{LARGEST_ONNX_FILE / 1e9:.1f} GB"
            )
