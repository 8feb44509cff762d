"""Classes that a language model behind an endpoint answers with; answers are kept."""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from affectlab.config.prompts import PromptEndpoint
from affectlab.datasets.texts import without_chat_marks
from affectlab.errors import UserError
from affectlab.files.urls import redact
from affectlab.models.answer_cache import AnswerCache, key_of
from affectlab.models.endpoint import Endpoint
from affectlab.models.replies import after_thinking, json_objects

logger = logging.getLogger(__name__)

CLASS = "class"
"""Key of the answer, where it is JSON."""

GAP = " [...] "

REFUSED = frozenset({400, 413, 422, 451})
"""States of HTTP by which a server refuses one question, such as for its content."""

FIRST_REFUSED = 5
"""If the server refuses so many questions before it answers one, something else is wrong."""

FAILED_IN_A_ROW = 3
"""After so many questions without an answer the others are not asked."""


class ClassAnswer(NamedTuple):
    """The answer to a question.

    Attributes:
        name: of the class; None: the answer is not valid.
        refused: whether the server refused the question.
    """

    name: str | None
    refused: bool = False


class ClassAsker:
    """An endpoint that is asked for classes."""

    def __init__(
        self, settings: PromptEndpoint, path: str, classes: Sequence[str], cache: AnswerCache
    ) -> None:
        """Prepare the questions; nothing is sent yet.

        Args:
            settings: of the endpoint.
            path: of these settings in the configuration, for messages.
            classes: names.
            cache: answers that were given before.

        Raises:
            UserError: the variable that should hold the key is not set.
        """
        self._settings, self._classes, self._cache = settings, classes, cache
        self._endpoint = Endpoint(settings, path)
        self._held: dict[str, str] = {}

    def shortened(self, text: str) -> tuple[str, bool]:
        """*text* as it is sent: without marks of chats, and without its middle if it is too long.

        Returns:
            The text, and whether it was cut.
        """
        limit = self._settings.max_characters
        cut = len(text) > limit
        if cut:
            text = GAP.join((text[: limit - limit // 2], text[len(text) - limit // 2 :]))
        return without_chat_marks(text), cut

    def answers(self, contents: Sequence[str]) -> list[ClassAnswer]:
        """Ask every question that was not answered before.

        Args:
            contents: the questions.

        Raises:
            UserError: a question has no answer. The other answers are kept.
        """
        from tqdm import tqdm

        bodies = [self._body(content) for content in contents]
        keys = [key_of(redact(self._settings.base_url), body) for body in bodies]
        kept = sum(key in self._cache for key in keys)
        logger.info("%d of %d answers are kept from before", kept, len(keys))
        errors: list[str] = []
        in_a_row = 0
        self._held.clear()
        for key, body in zip(tqdm(keys, desc="asking", mininterval=1.0), bodies, strict=True):
            if key in self._cache or key in self._held:
                continue
            error = self._ask(key, body)
            in_a_row = 0 if error is None else in_a_row + 1
            errors += [] if error is None else [error]
            if in_a_row == FAILED_IN_A_ROW or len(self._held) == FIRST_REFUSED:
                break
        if errors or self._held:
            raise self._unfinished([*errors, *self._held.values()], keys)
        self._cache.forget_others(set(keys))
        return [self._kept(key) for key in keys]

    def _ask(self, key: str, body: Mapping[str, Any]) -> str | None:
        """Ask one question and keep the answer; return what went wrong.

        Refusals are held back until the server answers a question.
        """
        asked = self._endpoint.answer(
            body, lambda reply: [read_class(reply, self._classes)], "no reply"
        )
        if asked.answer is not None:
            self._keep(key, asked.answer[0], asked.tokens)
            for held in self._held:
                self._keep(held, None, 0, refused=True)
            self._held.clear()
            return None
        if asked.status not in REFUSED:
            return asked.error
        if self._cache.any(lambda answer: not answer["refused"]):
            self._keep(key, None, asked.tokens, refused=True)
        else:
            self._held[key] = str(asked.error)
        return None

    def _keep(self, key: str, name: str | None, tokens: int, *, refused: bool = False) -> None:
        self._cache.add(key, {"class": name, "refused": refused, "tokens": tokens})

    def _unfinished(self, errors: Collection[str], keys: Sequence[str]) -> UserError:
        kept = sum(key in self._cache for key in keys)
        found = "; ".join(sorted(set(errors)))
        return UserError(
            f"{redact(self._settings.base_url)}: {found}. {kept} of {len(keys)} answers are kept: "
            "correct the cause and run again, which asks for the others alone"
        )

    def _kept(self, key: str) -> ClassAnswer:
        found = self._cache[key]
        return ClassAnswer(found["class"], found["refused"])

    def _body(self, content: str) -> dict[str, Any]:
        body = {
            "model": self._settings.model,
            "messages": [{"role": "user", "content": content}],
            "temperature": 0,
            "max_tokens": self._settings.max_answer_tokens,
        }
        if self._settings.json_schema:
            schema = {
                "type": "object",
                "properties": {CLASS: {"type": "string", "enum": list(self._classes)}},
                "required": [CLASS],
                "additionalProperties": False,
            }
            form = {"name": "answer", "strict": True, "schema": schema}
            body["response_format"] = {"type": "json_schema", "json_schema": form}
        return body


def read_class(reply: str, classes: Sequence[str]) -> str | None:
    """The class that a reply names, as a JSON object with the key ``class`` or by its name alone.

    Thinking that comes first is left out. Letters may be composed or not, small or capital;
    punctuation and white space around a name do not count.

    Returns:
        None where the reply is no class, or could be two.
    """
    answer = after_thinking(reply)
    named = [one[CLASS] for one in json_objects(answer) if isinstance(one.get(CLASS), str)]
    written = named[-1] if named else answer
    if written.strip() in classes:
        return written.strip()
    wanted = _bare(written)
    found = [name for name in classes if _bare(name) == wanted]
    return found[0] if wanted and len(found) == 1 else None


def _bare(text: str) -> str:
    """*text* in composed letters and folded case, without punctuation around it."""
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
    around = {letter for letter in folded if unicodedata.category(letter)[0] in "PSZC"}
    return folded.strip("".join(around))
