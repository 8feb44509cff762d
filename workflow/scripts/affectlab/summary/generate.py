"""Writing summaries with a language model: batched, resumable, no case lost to another's error."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from affectlab.assets.checkpoints import weights_digest
from affectlab.errors import UserError
from affectlab.files.io import append_jsonl, atomic_writer, read_jsonl
from affectlab.summary.answers import parse, write_details, write_predictions
from affectlab.summary.cases import REFLECTION, Case, read_cases, with_fold
from affectlab.summary.prompts import (
    build_prompt,
    case_text,
    chunks,
    task_of,
)
from affectlab.summary.scores import Answer

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

    from affectlab.models.devices import Precision
    from affectlab.summary.constrain import FieldsGrammar
    from affectlab.summary.states import Read

logger = logging.getLogger(__name__)

PROGRESS_NAME = "answers.jsonl"
NOTES_NAME = "notes.jsonl"

NOTES_TOKENS = 200
"""Longest note on one chunk of a case in map-reduce."""


class Request(NamedTuple):
    """What the model is to answer: its tokens, and what became of the case on the way."""

    id: str
    ids: list[int]
    case_tokens: int
    cut_tokens: int


class Generator:
    """A loaded language model that answers prompts in batches."""

    def __init__(
        self,
        network: Any,
        tokenizer: PreTrainedTokenizerBase,
        device: torch.device,
        settings: Mapping[str, Any],
        *,
        adapted_tokens: int | None = None,
        read: Read | None = None,
    ) -> None:
        """Take a network in eval mode.

        Args:
            network: causal language model, with or without adapters, on *device*.
            tokenizer: of the network.
            device: where prompts are moved to.
            settings: the ``generation`` block of a run: ``sample``, ``temperature``, ``top_p``,
                ``top_k``, ``repetition_penalty``, ``batch_tokens``, ``decoding``.
            adapted_tokens: of adapters that act on the answer alone: how many tokens at the end of
                a prompt they act on too. None: they act everywhere, or there are none.
            read: how prompts are read; each time anew if None.
        """
        from affectlab.summary.model import stop_ids
        from affectlab.summary.states import read_prompt

        self.network, self.tokenizer, self.device = network, tokenizer, device
        self.settings = settings
        self._adapted_tokens = adapted_tokens
        self._read = read or read_prompt
        # The checkpoint's own settings would mix with ours.
        sampling = (
            {name: settings[name] for name in ("temperature", "top_p", "top_k")}
            if settings["sample"]
            else {"temperature": None, "top_p": None, "top_k": None}
        )
        self._options = {
            "do_sample": settings["sample"],
            "repetition_penalty": settings["repetition_penalty"],
            "pad_token_id": tokenizer.pad_token_id,
            "eos_token_id": stop_ids(tokenizer, network),
            **sampling,
        }

    def grammar(self, fields: Sequence[str], max_tokens: int) -> FieldsGrammar | None:
        """What answers with *fields* are held to; None where decoding is free, or text wanted."""
        if self.settings["decoding"] == "repaired" or tuple(fields) == (REFLECTION,):
            return None
        from affectlab.summary.constrain import FieldsGrammar

        return FieldsGrammar(self.tokenizer, fields, max_tokens)

    def answer(
        self,
        prompts: Sequence[Sequence[int]],
        *,
        max_tokens: int,
        seed: int,
        grammar: FieldsGrammar | None = None,
    ) -> list[list[int]]:
        """Answer a batch; token ids without the end token.

        Each prompt is read alone, then the answers are written together (`read_prompts`).
        """
        import torch

        from affectlab.summary.states import read_prompts

        processors = []
        if grammar is not None:
            from affectlab.summary.constrain import FieldsProcessor

            processors = [FieldsProcessor(grammar, len(prompts))]

        # What is left of the prompts goes with the answers: its logits give their first tokens.
        rest = self._adapted_tokens or 1
        read = [ids[:-rest] for ids in prompts]
        with nullcontext() if self._adapted_tokens is None else self.network.disable_adapter():
            cache = read_prompts(
                self.network, read, self.device, room=rest + max_tokens, read=self._read
            )
        longest = max(len(ids) for ids in prompts)
        pad = self.tokenizer.pad_token_id
        rows = [[pad] * (longest - len(ids)) + list(ids) for ids in prompts]
        mask = [[0] * (longest - len(ids)) + [1] * len(ids) for ids in prompts]
        torch.manual_seed(seed)
        with torch.inference_mode():
            output = self.network.generate(
                input_ids=torch.tensor(rows, device=self.device),
                attention_mask=torch.tensor(mask, device=self.device),
                past_key_values=cache,
                max_new_tokens=max_tokens,
                logits_processor=processors,
                **self._options,
            )
        ends = {*self._options["eos_token_id"], pad}
        return [_until(row, ends) for row in output[:, longest:].tolist()]


def length_sorted_batches(requests: Sequence[Request], batch_tokens: int) -> list[list[Request]]:
    """Requests of similar length together, longest first, at most *batch_tokens* padded tokens."""
    batches: list[list[Request]] = []
    for request in sorted(requests, key=lambda one: (-len(one.ids), one.id)):
        if batches and (len(batches[-1]) + 1) * len(batches[-1][0].ids) <= batch_tokens:
            batches[-1].append(request)
        else:
            batches.append([request])
    return batches


def answer_all(
    generator: Generator,
    requests: Sequence[Request],
    *,
    max_tokens: int,
    seed: int,
    grammar: FieldsGrammar | None = None,
    progress_path: Path | None = None,
    fingerprint: str = "",
) -> dict[str, dict[str, Any]]:
    """Answer every request; a failing batch is tried one by one, a failing request recorded.

    With *progress_path*, batches that were answered before (under the same *fingerprint*) are not
    answered again, unless a request of theirs failed; a batch is sampled from its own seed, so that
    an interrupted run ends in the same answers.

    Returns:
        Request id -> ``text``, ``answer_tokens``, ``error`` (None, or what went wrong).
    """
    from tqdm import tqdm

    batches = length_sorted_batches(requests, generator.settings["batch_tokens"])
    done = _read_progress(progress_path, fingerprint)
    with tqdm(total=len(requests), desc="generating", unit="case", mininterval=1.0) as bar:
        for number, batch in enumerate(batches):
            if all(request.id in done for request in batch):
                bar.update(len(batch))
                continue
            found = _answer_batch(
                generator, batch, max_tokens=max_tokens, seed=seed + number, grammar=grammar
            )
            done |= found
            _append_progress(progress_path, fingerprint, found)
            bar.update(len(batch))
    failed = [request.id for request in requests if done[request.id]["error"] is not None]
    if failed:
        logger.warning("%d of %d cases were not answered: %s", len(failed), len(requests), failed)
    return {request.id: done[request.id] for request in requests}


def answer_cases(
    generator: Generator,
    cases: Sequence[Case],
    run: Mapping[str, Any],
    *,
    fields: Sequence[str],
    seed: int,
    work_directory: Path | None = None,
    fingerprint: str = "",
) -> tuple[list[Request], dict[str, dict[str, Any]]]:
    """Ask for the *fields* of each case, after notes on long ones if *run* wants them.

    With *work_directory*, answers and notes are kept in it as in `answer_all`, until
    `remove_progress`; that there are some of the same *fingerprint* is logged.

    Returns:
        A request for each case, in their order, and what `answer_all` gives for these.
    """
    notes_path = progress_path = None
    if work_directory is not None:
        notes_path, progress_path = work_directory / NOTES_NAME, work_directory / PROGRESS_NAME
    notes, answers = (
        len(_read_progress(path, fingerprint)) for path in (notes_path, progress_path)
    )
    if notes or answers:
        logger.info(
            "going on with what is kept in %s: %d of %d cases answered, %d parts of long ones "
            "noted",
            work_directory,
            answers,
            len(cases),
            notes,
        )
    requests = list(
        build_requests(
            generator, cases, run, seed=seed, progress_path=notes_path, fingerprint=fingerprint
        )
    )
    cut = [request for request in requests if request.cut_tokens]
    if cut:
        logger.warning(
            "%d of %d cases are longer than what the model reads (max_length %d less "
            "max_answer_tokens %d): %d of their %d tokens were left out, first of %s",
            len(cut),
            len(cases),
            run["max_length"],
            run["max_answer_tokens"],
            sum(request.cut_tokens for request in cut),
            sum(request.case_tokens for request in cut),
            cut[0].id,
        )
    longest = run["max_answer_tokens"]
    found = answer_all(
        generator,
        requests,
        max_tokens=longest,
        seed=seed,
        grammar=generator.grammar(fields, longest),
        progress_path=progress_path,
        fingerprint=fingerprint,
    )
    return requests, found


def remove_progress(work_directory: Path) -> None:
    """Delete what `answer_cases` kept, once its answers are stored."""
    for name in (NOTES_NAME, PROGRESS_NAME):
        (work_directory / name).unlink(missing_ok=True)


def _answer_batch(
    generator: Generator,
    batch: Sequence[Request],
    *,
    max_tokens: int,
    seed: int,
    grammar: FieldsGrammar | None,
) -> dict[str, dict[str, Any]]:
    try:
        answers = generator.answer(
            [r.ids for r in batch], max_tokens=max_tokens, seed=seed, grammar=grammar
        )
    except (RuntimeError, ValueError, IndexError) as error:
        if len(batch) > 1:
            logger.warning("a batch of %d failed (%s): one by one", len(batch), error)
            parts = [
                _answer_batch(generator, [one], max_tokens=max_tokens, seed=seed, grammar=grammar)
                for one in batch
            ]
            return {name: row for part in parts for name, row in part.items()}
        problem = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        return {batch[0].id: {"text": "", "answer_tokens": 0, "error": problem}}
    return {
        request.id: {
            "text": generator.tokenizer.decode(ids, skip_special_tokens=True),
            "answer_tokens": len(ids),
            "error": None,
        }
        for request, ids in zip(batch, answers, strict=True)
    }


def build_requests(
    generator: Generator,
    cases: Sequence[Case],
    run: Mapping[str, Any],
    *,
    seed: int,
    progress_path: Path | None = None,
    fingerprint: str = "",
) -> Iterator[Request]:
    """A request for each case; with ``map_reduce``, long cases are first turned into notes.

    What is in parts for which the model gave no note counts as cut off; a case without any note
    is asked about as with ``head_tail``. Notes are kept in *progress_path*, as in `answer_all`.
    """
    room = run["max_length"] - run["max_answer_tokens"]
    for case in cases:
        text = case_text(case)
        whole = _request(generator.tokenizer, case, text, run, room)
        if whole.cut_tokens and run["long_input"] == "map_reduce":
            requests = _note_requests(generator.tokenizer, case, text, run, room)
            found = answer_all(
                generator,
                requests,
                max_tokens=min(NOTES_TOKENS, run["max_answer_tokens"]),
                seed=seed,
                progress_path=progress_path,
                fingerprint=fingerprint,
            )
            notes = [found[request.id]["text"].strip() for request in requests]
            lost = sum(
                request.case_tokens
                for request, note in zip(requests, notes, strict=True)
                if not note
            )
            if any(notes):
                reduced = _request(generator.tokenizer, case, "\n".join(notes), run, room)
                whole = reduced._replace(
                    case_tokens=whole.case_tokens, cut_tokens=reduced.cut_tokens + lost
                )
        yield whole


def _request(
    tokenizer: PreTrainedTokenizerBase, case: Case, text: str, run: Mapping[str, Any], room: int
) -> Request:
    prompt = build_prompt(
        tokenizer,
        text,
        task=task_of(case),
        version=run["prompt"],
        language=case.language,
        max_tokens=room,
    )
    return Request(case.id, prompt.ids, prompt.case_tokens, prompt.cut_tokens)


def _note_requests(
    tokenizer: PreTrainedTokenizerBase, case: Case, text: str, run: Mapping[str, Any], room: int
) -> list[Request]:
    """What the model is asked to note of each chunk of a long case."""
    requests = []
    # A chunk leaves room for the instruction around it.
    for number, piece in enumerate(chunks(tokenizer, text, room // 2)):
        prompt = build_prompt(
            tokenizer,
            piece,
            task="notes",
            version=run["prompt"],
            language=case.language,
            max_tokens=room,
        )
        name = f"{case.id}, part {number + 1}"
        requests.append(Request(name, prompt.ids, prompt.case_tokens, prompt.cut_tokens))
    return requests


def generate(
    *,
    records_path: Path,
    base_model: Path,
    adapter: Path | None,
    run: Mapping[str, Any],
    seed: int,
    threads: int,
    predictions_path: Path,
    details_path: Path,
    work_directory: Path,
) -> None:
    """Summarise the test cases of a run with its model.

    Args:
        records_path: the tidy table of cases.
        base_model: checkpoint directory of the pretrained model.
        adapter: the run's adapter; None for a model as it is (method ``prompt``).
        run: the run's block of the configuration.
        seed: of the sampling.
        threads: CPU threads.
        predictions_path: gets the fields in the benchmark's submission format.
        details_path: gets one line a case: split, raw text, validity, token counts, error.
        work_directory: holds the answers so far; they go when all is stored.

    Raises:
        UserError: no test cases, an unusable model, or not one case could be answered.
    """
    from affectlab.files.io import sha256_file
    from affectlab.training.checkpoints import fingerprint

    cases = [
        case for case in with_fold(read_cases(records_path), run["fold"]) if case.split == "test"
    ]
    if not cases:
        raise UserError(f"{records_path}: no cases in the test split")
    generator = load_generator(
        base_model,
        adapter,
        run["generation"],
        four_bit=run["method"] == "qlora",
        precision=run["generation"]["precision"],
        threads=threads,
    )
    key = fingerprint(
        dict(run), seed, sha256_file(records_path), weights_digest(adapter or base_model)
    )
    requests, found = answer_cases(
        generator,
        cases,
        run,
        fields=cases[0].fields,
        seed=seed,
        work_directory=work_directory,
        fingerprint=key,
    )
    _check_answered(records_path, found)
    store_answers(cases, requests, found, predictions_path, details_path)
    remove_progress(work_directory)


def _check_answered(records_path: Path, found: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise if every case failed: scores of 0 would pass for the model's."""
    errors = [row["error"] for row in found.values()]
    if None not in errors:
        ((commonest, _),) = Counter(errors).most_common(1)
        raise UserError(
            f"{records_path}: none of the {len(errors)} test cases could be answered, most often "
            f"for this reason: {commonest}"
        )


def load_generator(
    base_model: Path,
    adapter: Path | None,
    settings: Mapping[str, Any],
    *,
    four_bit: bool,
    precision: Precision,
    threads: int | None = None,
    device: str | None = None,
) -> Generator:
    """Load a model, and its adapter if it has one, for generation.

    Raises:
        UserError: no readable model or adapter, or one with an attention that is not supported.
    """

    from affectlab.models import devices
    from affectlab.models.decoding_weights import order_weights_for_decoding
    from affectlab.summary import model as networks
    from affectlab.summary import states
    from affectlab.summary.attention import check_attention

    if threads is not None:
        devices.set_threads(threads)
    place = devices.named_device(device)
    dtype = devices.compute_dtype(precision, place)
    network: Any
    adapted_tokens = None if adapter is None else networks.adapted_prompt_tokens(adapter)
    if adapter is not None and not four_bit and adapted_tokens is None:
        # A merged model is as fast as its base.
        network = networks.merge_adapter(base_model, adapter).to(place, dtype)
    else:
        network = networks.load_network(base_model, dtype=dtype, device=place, four_bit=four_bit)
        if adapter is not None:
            network = networks.load_adapter(network, adapter)
    check_attention(network)
    order_weights_for_decoding(network)
    network.set_attn_implementation(states.decoding_attention(network, place))
    return Generator(
        network.eval(),
        networks.load_tokenizer(base_model),
        place,
        settings,
        adapted_tokens=adapted_tokens,
    )


def store_answers(
    cases: Sequence[Case],
    requests: Sequence[Request],
    found: Mapping[str, Mapping[str, Any]],
    predictions_path: Path,
    details_path: Path,
) -> None:
    """Write predictions and details of answered requests."""
    answers = parse_answers(cases, found, cases[0].fields)
    rows = []
    for case, request, answer in zip(cases, requests, answers, strict=True):
        row = found[case.id]
        rows.append(
            {
                "id": case.id,
                "split": case.split,
                "text": row["text"],
                "valid": answer.valid,
                "repaired": answer.repaired,
                "error": row["error"],
                "case_tokens": request.case_tokens,
                "cut_tokens": request.cut_tokens,
                "answer_tokens": row["answer_tokens"],
            }
        )
    write_predictions(predictions_path, cases, answers, sealed=True)
    write_details(details_path, rows)


def parse_answers(
    cases: Sequence[Case], found: Mapping[str, Mapping[str, Any]], fields: Sequence[str]
) -> list[Answer]:
    """The *fields* of each case in what `answer_all` gave."""
    return [
        parse(found[case.id]["text"], fields)._replace(failed=found[case.id]["error"] is not None)
        for case in cases
    ]


def _until(row: Sequence[int], ends: set[int]) -> list[int]:
    """The tokens before the first end token."""
    for place, token in enumerate(row):
        if token in ends:
            return list(row[:place])
    return list(row)


def _read_progress(path: Path | None, fingerprint: str) -> dict[str, dict[str, Any]]:
    """Answers stored under *fingerprint*, less failures and a line that a crash cut short."""
    if path is None or not path.exists():
        return {}
    stored = path.read_bytes()
    whole = stored[: stored.rfind(b"\n") + 1]
    if whole != stored:
        with atomic_writer(path, "wb") as stream:
            stream.write(whole)
    return {
        row["id"]: row["answer"]
        for row in read_jsonl(path)
        if row["fingerprint"] == fingerprint and row["answer"]["error"] is None
    }


def _append_progress(
    path: Path | None, fingerprint: str, found: Mapping[str, Mapping[str, Any]]
) -> None:
    if path is None:
        return
    append_jsonl(
        path,
        (
            {"id": name, "fingerprint": fingerprint, "answer": answer}
            for name, answer in found.items()
        ),
    )
