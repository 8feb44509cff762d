"""What a model is asked: versioned templates in files, filled with a case, as chat tokens.

A case that is too long loses its middle (`head_tail`), and what it loses is counted.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from affectlab.files.text import read_text
from affectlab.models.chat import Prompt, chat_ids, fitted, plain_ids
from affectlab.summary.cases import OWN_TASK, Case
from affectlab.summary.text import CHINESE, Language

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TEMPLATES = {
    ("fields", "v1", "en"): "prompt_fields_v1_en.txt",
    ("fields", "v1", "zh"): "prompt_fields_v1_zh.txt",
    ("reflection", "v1", "en"): "prompt_reflection_v1_en.txt",
    ("reflection", "v1", "zh"): "prompt_reflection_v1_zh.txt",
    ("notes", "v1", "en"): "prompt_notes_v1_en.txt",
    ("notes", "v1", "zh"): "prompt_notes_v1_zh.txt",
    ("summary", "v1", "en"): "prompt_summary_v1_en.txt",
    ("summary", "v1", "zh"): "prompt_summary_v1_zh.txt",
    ("own", "v1", "en"): "prompt_own_v1_en.txt",
    ("own", "v1", "zh"): "prompt_own_v1_zh.txt",
    ("part", "v1", "en"): "prompt_part_v1_en.txt",
    ("part", "v1", "zh"): "prompt_part_v1_zh.txt",
}
"""Task, version, language -> file. A changed text is a new version.

``notes`` and ``part`` are for a part of a long case, of a published corpus and of a user's own
data. Of the latter, ``summary`` is for one field, ``own`` for several.
"""

HEADINGS = {
    "en": ("Case description:", "Consultation process:", "Experience and reflection:"),
    "zh": ("案例描述：", "咨询过程：", "经验与反思："),
}


def case_text(case: Case) -> str:
    """The case under its headings, paragraphs on lines of their own; a user's text as it is."""
    if case.task == OWN_TASK:
        return case.text
    parts = (case.case_description, case.consultation_process, (case.reflection,))
    sections = [
        "\n".join([heading, *paragraphs])
        for heading, paragraphs in zip(HEADINGS[_language(case.language)], parts, strict=True)
        if any(paragraphs)
    ]
    return "\n\n".join(sections)


def instruction(
    text: str, task: str, version: str, language: Language, template: str | None = None
) -> str:
    """The template of *task* around *text*; Chinese for Chinese and mixed cases.

    Args:
        text: is put where the template has ``{case}``.
        task: a key of `TEMPLATES`, as are the next two.
        version: of the template.
        language: of the case.
        template: instead of that of the task.
    """
    if template is None:
        template = _shipped(task, version, language)
    return template.strip().replace("{case}", text)


def _shipped(task: str, version: str, language: Language) -> str:
    name = TEMPLATES[task, version, _language(language)]
    return read_text(Path(__file__).with_name(name))


def own_template(case: Case, version: str, template: str | None) -> str | None:
    """The template for a user's case, with the names of its fields; None for a published corpus.

    Args:
        case: that is summarised.
        version: of the shipped template.
        template: of the run, with ``{text}`` and perhaps ``{field}``; None for the shipped one.
    """
    if template is not None:
        template = template.replace("{text}", "{case}")
    elif case.task != OWN_TASK:
        return None
    else:
        task = "summary" if len(case.fields) == 1 else "own"
        template = _shipped(task, version, case.language)
    return template.replace("{field}", ", ".join(case.fields))


def build_prompt(
    tokenizer: PreTrainedTokenizerBase,
    text: str,
    *,
    task: str,
    version: str,
    language: Language,
    max_tokens: int,
    template: str | None = None,
) -> Prompt:
    """The prompt for *text*, at most *max_tokens* long; a longer text keeps head and tail.

    Raises:
        UserError: the instruction alone is longer.
    """
    frame = partial(instruction, task=task, version=version, language=language, template=template)
    return fitted(tokenizer, text, lambda part: chat_ids(tokenizer, frame(part)), max_tokens)


def case_prompt(
    tokenizer: PreTrainedTokenizerBase,
    case: Case,
    *,
    version: str,
    max_tokens: int,
    text: str | None = None,
    template: str | None = None,
) -> Prompt:
    """The prompt for *case*, or for a *text* about it, such as notes.

    See `build_prompt`, and `own_template` for the *template* of the run.
    """
    return build_prompt(
        tokenizer,
        case_text(case) if text is None else text,
        task=case.task,
        version=version,
        language=case.language,
        max_tokens=max_tokens,
        template=own_template(case, version, template),
    )


def chunks(tokenizer: PreTrainedTokenizerBase, text: str, size: int) -> list[str]:
    """*text* cut into pieces of at most *size* tokens, for map-reduce."""
    ids = plain_ids(tokenizer, text)
    return [
        tokenizer.decode(ids[start : start + size]).strip("\ufffd")
        for start in range(0, len(ids), size)
    ]


def _language(language: Language) -> str:
    return "zh" if language in CHINESE else "en"
