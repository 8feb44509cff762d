"""Parts of blocks for language models that are prompted: endpoints, prompts, their templates."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from affectlab.config.load import as_mapping
from affectlab.config.models import Precision, Section, Text
from affectlab.files.urls import redact

TEXT_PLACE = "{text}"


class ChatEndpoint(Section):
    """A language model behind an OpenAI-compatible endpoint."""

    base_url: str = Field(
        pattern="^https?://",
        description="Address of the endpoint, up to and without /chat/completions.",
    )
    model: Text = Field(description="Name of the model at the endpoint.")
    api_key_variable: Text | None = Field(
        None, description="Environment variable that holds the key; null: no key."
    )
    timeout_seconds: float = Field(120, gt=0, description="Longest wait for one reply.")
    attempts: int = Field(
        5, ge=1, description="How often one question is asked before it counts as failed."
    )
    wait_seconds: float = Field(
        2, ge=0, description="Wait before the second attempt; doubles with each further one."
    )


class PromptEndpoint(ChatEndpoint):
    """A language model behind an OpenAI-compatible endpoint, which is asked for a class of each
    item of the test split; null: the local `model`, whose probabilities are computed."""

    json_schema: bool = Field(
        False,
        description="true: the server is sent a JSON schema, by which it can answer with nothing "
        "but a class; not every server takes one.",
    )
    max_answer_tokens: int = Field(
        512, ge=1, description="Tokens of an answer; a model that thinks first needs more."
    )
    max_characters: int = Field(
        8000, ge=100, description="Characters of a text that are sent; the middle is cut out."
    )


class Prompt(Section):
    """How a language model is asked for the class."""

    version: Literal["v1"] = Field("v1", description="Version of the shipped prompts.")
    language: Literal["en", "zh", "any"] | None = Field(
        None,
        description="Language of the shipped prompt; any: English words that expect a text of any "
        "language; null: that of the data.",
    )
    # What rules hold under this name is the text of the file.
    template: Text | None = Field(
        None,
        description="File with a prompt of your own, from the folder in which you start Snakemake: "
        "{text} stands for the text, {span} for the span in it, {classes} for the names of the "
        "classes; null: the shipped one.",
    )
    max_length: int = Field(
        2048,
        ge=32,
        le=131072,
        description="Tokens of prompt and class name together; a longer text loses its middle.",
    )
    precision: Precision = Field(
        "auto", description="auto: bf16 where the hardware gains by it, else fp32."
    )
    endpoint: PromptEndpoint | None = Field(
        None, description=" ".join(str(PromptEndpoint.__doc__).split())
    )

    def model_in_use(self, local: str) -> str:
        """The name of the model that is asked: that at the endpoint, or the *local* one."""
        return local if self.endpoint is None else self.endpoint.model


def template_mistakes(path: str, template: Any) -> Iterator[str]:
    """Report a file with a prompt that is not there, or has no place for the text."""
    if not isinstance(template, str):
        return
    try:
        text = Path(template).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        yield f"{path}: {template} cannot be read: {error}"
        return
    if TEXT_PLACE not in text:
        yield f"{path}: {template} does not hold {{text}}, where the text is put"


def address_mistakes(path: str, endpoint: Any) -> Iterator[str]:
    """Report a password or key in the address of an endpoint.

    Args:
        path: dotted path of the endpoint.
        endpoint: its block.
    """
    address = as_mapping(endpoint).get("base_url")
    if isinstance(address, str) and redact(address) != address:
        yield (
            f"{path}.base_url: {redact(address)} holds a password or key, which results and "
            f"logs would show; name an environment variable in {path}.api_key_variable"
        )


def prompt_mistakes(path: str, run: Mapping[str, Any]) -> Iterator[str]:
    """Report mistakes in a run whose method is ``prompt``.

    Args:
        path: dotted path of the run.
        run: the complete run, or what was given for it.
    """
    if run.get("method") != "prompt":
        return
    block = as_mapping(run.get("prompt"))
    yield from template_mistakes(f"{path}.prompt.template", block.get("template"))
    yield from address_mistakes(f"{path}.prompt.endpoint", block.get("endpoint"))
    seeds = run.get("seeds")
    if isinstance(seeds, list) and len(seeds) > 1:
        yield (
            f"{path}.seeds: no seed changes the answers to a prompt; expected one seed, found "
            f"{len(seeds)}"
        )


def with_template(run: Mapping[str, Any]) -> dict[str, Any]:
    """A valid run of any method, with the text of its prompt instead of the name of a file."""
    block = as_mapping(run.get("prompt"))
    file = block.get("template")
    if file is None:
        return dict(run)
    text = Path(file).read_text(encoding="utf-8")
    return {**run, "prompt": {**block, "template": text}}


def asks_endpoint(run: Mapping[str, Any]) -> bool:
    """Whether a complete run sends its prompts to an endpoint, and so needs no model here."""
    return run.get("method") == "prompt" and bool(as_mapping(run.get("prompt")).get("endpoint"))
