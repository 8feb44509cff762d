"""The parts that blocks of the configuration are made of: types, bounds, defaults, descriptions.

A `Section` is a block whose keys are fixed. From the sections come the checks, the defaults, the
reference page and the JSON Schema for editors. Light on purpose, like `config.load`: a section is
built when it is first used.
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    WrapValidator,
)
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

RUN_NAME = "^[a-z][a-z0-9_]*$"
ASSET_NAME = "^[a-z0-9][a-z0-9_.-]*$"
LARGEST_SEED = 2**32 - 1
"""The largest that NumPy takes."""

LIKE = "like"
"""The key of a run that names another one; it is resolved before anything reads the run."""


@dataclass(frozen=True)
class Only:
    """Marks a key that belongs to blocks in which *key* has one of *values*, and to no others.

    The nearest block around it that has *key* decides.
    """

    key: str
    values: tuple[str, ...]

    def fits(self, known: Mapping[str, Any]) -> bool:
        """Whether the marked key belongs to a block; *known* has its values and those above."""
        return known.get(self.key) in self.values

    def __str__(self) -> str:
        """Say it as the end of a description does."""
        return f"Only with {self.key} {' or '.join(self.values)}."


@dataclass(frozen=True)
class SameAs:
    """Marks a key whose default is the value of *key* in the block around it."""

    key: str


@dataclass(frozen=True)
class NotHandedOn:
    """Marks a key of a run that a run which is ``like`` it does not take over."""


class Section(BaseModel):
    """A block of the configuration with fixed keys."""

    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True, allow_inf_nan=False)

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: Any) -> dict[str, Any]:
        """Say in the descriptions which keys belong to some blocks only."""
        found: dict[str, Any] = handler(core_schema)
        properties = handler.resolve_ref_schema(found).get("properties", {})
        for name, field in cls.model_fields.items():
            if condition := condition_of(field):
                inner = inner_section(field.annotation)
                told = field.description or (inner and inner[1].__doc__) or ""
                properties[name]["description"] = f"{told} {condition}".strip()
        return found


SectionT = TypeVar("SectionT", bound=Section)


class Entry(Section):
    """An entry of a registry: a key that is left out stays out, there are no defaults."""


def block(**values: Any) -> Any:
    """Give a key that holds a section its default: the defaults of that section, and *values*."""
    return Field(default_factory=lambda: values, validate_default=True)


def left_out() -> None:
    """Mark a key without default, which may be left out."""


def absent(description: str, **bounds: Any) -> Any:
    """Describe a key that may be left out and then has no value."""
    return Field(default_factory=left_out, description=description, **bounds)


def has_default(field: FieldInfo) -> bool:
    """Whether a block that lacks *field* gets a value for it."""
    return not field.is_required() and field.default_factory is not left_out


def default_of(field: FieldInfo, known: Mapping[str, Any]) -> Any:
    """The default of *field*, of its own; *known* has the values of its block and those above."""
    for mark in field.metadata:
        if isinstance(mark, SameAs):
            return known.get(mark.key)
    return copy.deepcopy(field.get_default(call_default_factory=True))


def condition_of(field: FieldInfo) -> Only | None:
    """What a block must have for *field* to belong to it; None: it belongs to every block."""
    return next((mark for mark in field.metadata if isinstance(mark, Only)), None)


def values_of(section: type[Section], key: str) -> tuple[Any, ...]:
    """The values that *key* of *section*, a choice, can have."""
    return get_args(section.model_fields[key].annotation)


def choices(section: type[Section], values: Mapping[str, Any]) -> dict[str, str]:
    """The choices of *section*, such as its method, that *values* make and that it knows."""
    return {
        name: values[name]
        for name, field in section.model_fields.items()
        if get_origin(field.annotation) is Literal
        and name in values
        and values[name] in values_of(section, name)
    }


def inner_section(annotation: Any) -> tuple[str, type[Section]] | None:
    """The section inside a type, and how it lies in it: ``one``, ``list`` or ``dict``."""
    return _inner_section(annotation)


@cache
def _inner_section(annotation: Any) -> tuple[str, type[Section]] | None:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return "one", annotation
    origin = get_origin(annotation)
    if origin is Annotated:
        return inner_section(get_args(annotation)[0])
    inside = [found for part in get_args(annotation) if (found := inner_section(part))]
    if len(inside) != 1 or inside[0][0] != "one":
        return None
    kind = origin.__name__ if origin in (list, dict) else "one"
    return kind, inside[0][1]


def _different(values: list[Any]) -> list[Any]:
    if len(set(values)) < len(values):
        raise PydanticCustomError("unique", "the same value stands here twice")
    return values


def _as_given(value: Any, check: Callable[[Any], Any]) -> Any:
    check(value)
    return value


AS_GIVEN = WrapValidator(_as_given)
"""Marks a number whose point matters: 1 stays the integer 1."""

RunName = Annotated[str, Field(pattern=RUN_NAME)]
AssetName = Annotated[str, Field(pattern=ASSET_NAME)]
Text = Annotated[str, Field(min_length=1)]
Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]
Share = Annotated[float, Field(ge=0, le=1)]
DIFFERENT = (AfterValidator(_different), Field(json_schema_extra={"uniqueItems": True}))
RunNames = Annotated[list[RunName], *DIFFERENT]
Seeds = Annotated[list[Seed], *DIFFERENT, Field(min_length=1)]
Protocol = Literal["published", "corrected"]
Precision = Literal["auto", "fp32", "bf16"]


class Run(Section):
    """One run of an experiment; what the runs of all have in common."""

    like: RunName | None = Field(
        None,
        description="Run of this experiment whose keys this one takes over, unless it has its own. "
        "Blocks are merged, lists are replaced.",
    )
    protocol: Protocol = Field(
        "corrected",
        description="published: as the original did it, defects included; corrected: without "
        "these defects.",
    )
    data: AssetName = Field("", description="Name in datasets.yaml.")
    seeds: Seeds = Field([42], description="One training per seed.")


class Bootstrap(Section):
    """Confidence intervals."""

    resamples: int = Field(2000, ge=100, le=1_000_000, description="How many resamples.")
    level: float = Field(0.95, gt=0, lt=1, description="Coverage.")
    seed: Seed = Field(0, description="Seed of the resampling.")


class OutsideColumns(Section):
    """What the columns of a table of predictions are called."""

    id: Text = Field("id", description="The id of the item, as in records.jsonl.")
    prediction: Text | None = Field(
        None,
        description="The predicted class; null: prediction, predicted or label, whichever is "
        "there. Not needed where each class has a probability.",
    )
    label: Text | None = Field(
        None,
        description="The true class, which is checked against the data; null: the column label, "
        "where another one holds the prediction.",
    )
    split: Text | None = Field(None, description="The split; null: the column split, if any.")
    seed: Text | None = Field(
        None, description="The seed of the model; null: all rows are of one model."
    )


class Outside(Section):
    """Predictions that somebody else made."""

    path: str = Field("", description="Table of the predictions: CSV, JSON Lines, Parquet, Arrow.")
    columns: OutsideColumns = block()
    classes: dict[Text, Text] = Field(
        {},
        description="Their name of a class, or of the column of a class or field -> the name in "
        "the data.",
    )
    allow_missing: bool = Field(
        False, description="Score the items that are there, and report how many are missing."
    )
    trained_on: Text | None = Field(
        None,
        description="File with the ids of the items that the model was trained on, one a line.",
    )


class Lora(Section):
    """Low-rank adapters."""

    rank: int = Field(8, ge=1, description="Rank r of the update.")
    alpha: float = Field(16, gt=0, description="Scale; the update is multiplied by alpha / rank.")
    dropout: float = Field(0.05, ge=0, lt=1, description="Dropout before the adapter.")
    target_modules: Annotated[list[Text], *DIFFERENT] = Field(
        ["q_proj", "k_proj", "v_proj", "o_proj"],
        min_length=1,
        description="Layers that get an adapter, by the last part of their name.",
    )


class Training(Section):
    """How the network is trained."""

    epochs: int = Field(3, ge=1, description="Passes over the training split.")
    batch_size: int = Field(
        32,
        ge=1,
        description="Items (texts, images, cases) per batch, which several processes share.",
    )
    learning_rate: float = Field(2.0e-4, gt=0, le=1, description="Peak learning rate.")
    head_learning_rate: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Peak learning rate of the new classification head; null: the same.",
    )
    weight_decay: float = Field(
        0.01, ge=0, le=1, description="AdamW weight decay (biases and norms are left out)."
    )
    warmup_steps: Annotated[float, Field(ge=0), AS_GIVEN] = Field(
        0.1,
        description="Optimiser steps over which the learning rate rises from zero; a number with "
        "a point, at most 1.0: that share of all steps.",
    )
    schedule: Literal["linear", "cosine", "constant"] = Field(
        "linear", description="Course of the learning rate after the warm-up."
    )
    gradient_accumulation: int = Field(1, ge=1, description="Batches per optimiser step.")
    max_grad_norm: float = Field(1.0, gt=0, description="Gradients are scaled down to this norm.")
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="Probability mass spread over all classes."
    )
    precision: Precision = Field(
        "auto", description="auto: bf16 where the hardware gains by it, else fp32."
    )
    token_budget: int | None = Field(
        None,
        ge=1,
        description="Tokens per batch, padding included, instead of batch_size; null: batch_size "
        "decides.",
    )
    early_stopping_patience: int | None = Field(
        None,
        ge=1,
        description="Evaluations without a better validation score after which training stops; "
        "null: never.",
    )
    gradient_checkpointing: bool = Field(
        False, description="Compute activations twice to save memory."
    )
    evaluations_per_epoch: int = Field(
        1, ge=1, description="How often an epoch is evaluated on the validation split."
    )
    checkpoint_minutes: float = Field(
        5, gt=0, description="Most minutes of work that a crash can cost."
    )
    sparse_embeddings: bool = Field(
        False, description="Update only the rows of the embedding table that a batch used."
    )
    ema_decay: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Decay of a moving average of the weights, which then is evaluated and kept; "
        "null: none.",
    )


def typed(section: type[SectionT], values: Mapping[str, Any]) -> SectionT:
    """A block as an object of its model; keys that it lacks have their defaults.

    Raises:
        ValueError: values are of a wrong type or out of bounds; tells which.
    """
    try:
        return section.model_validate(dict(values))
    except ValidationError as error:
        found = (f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise ValueError("; ".join(found)) from error


def given(block: Section) -> dict[str, Any]:
    """The keys that a block was made from, with their values: what decides a result."""
    return block.model_dump(exclude_unset=True)


@cache
def adapter(kind: Any) -> TypeAdapter[Any]:
    """What checks values of the type *kind*: a section, or a mapping or list of sections."""
    return TypeAdapter(kind)


def json_schema(kind: Any) -> dict[str, Any]:
    """The JSON Schema of the type *kind*, without titles, closed where names have a form."""
    schema: dict[str, Any] = _plain(adapter(kind).json_schema())
    return schema


def _plain(node: Any) -> Any:
    if isinstance(node, list):
        return [_plain(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {}
    for key, value in node.items():
        if key == "properties":
            kept[key] = {name: _plain(below) for name, below in value.items()}
        elif key == "patternProperties":
            ((pattern, below),) = value.items()
            kept |= {"propertyNames": {"pattern": pattern}, "additionalProperties": _plain(below)}
        elif key != "title":
            kept[key] = _plain(value)
    return kept


def inner_schema(root: Mapping[str, Any], node: Any) -> dict[str, Any]:
    """The part *node* of the JSON Schema *root* itself, without null and references."""
    while isinstance(node, dict) and ("$ref" in node or "anyOf" in node):
        if "anyOf" in node:
            node = next(part for part in node["anyOf"] if part.get("type") != "null")
        else:
            node = root["$defs"][node["$ref"].rpartition("/")[2]]
    return node if isinstance(node, dict) else {}
