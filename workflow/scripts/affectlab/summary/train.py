"""Fitting a language model's adapters to write summaries: LoRA, or QLoRA in 4 bits."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from affectlab.assets.checkpoints import weights_digest
from affectlab.config.models import given
from affectlab.errors import UserError
from affectlab.files.io import sealed_path, sha256_file, write_json
from affectlab.models import text_models
from affectlab.summary import feeding, heldout, packing
from affectlab.summary import model as networks
from affectlab.summary.attention import check_training
from affectlab.summary.cases import OWN_TASK, Case, read_cases, with_fold
from affectlab.summary.methods import training_part
from affectlab.summary.settings import SummaryRun
from affectlab.training.job import Job
from affectlab.training.loop import Task
from affectlab.training.outputs import Outputs

logger = logging.getLogger(__name__)


def train(
    *,
    records_path: Path,
    base_model: Path,
    run: SummaryRun,
    seed: int,
    threads: int,
    outputs: Outputs,
) -> None:
    """Train adapters; keep the weights with the best loss or answers (``select_by``).

    Data without a validation split (PsyQA, as published) is chosen by on its test split, and the
    training summary says so; a run of the corrected protocol is refused then. May be called in
    several processes (`training.launch`); the main one writes.

    Args:
        records_path: the tidy table of cases.
        base_model: checkpoint directory of the pretrained model.
        run: as configured, its method ``lora`` or ``qlora``.
        seed: of initialisation, dropout and data order.
        threads: CPU threads.
        outputs: where the results go; the model is adapter, tokenizer, settings and, with
            ``merge``, the merged checkpoint.

    Raises:
        UserError: no cases to train on or, other than the test split's, to choose by; an unusable
            model, a broken checkpoint.
    """
    parts, chosen_on = _parts(records_path, run)
    job = Job(outputs.work, seed=seed, threads=threads)
    tokenizer = networks.load_tokenizer(base_model)
    base_weights = weights_digest(base_model)
    name = job.owner([base_weights, job.dtype(run.training)])
    feed = feeding.feeding_of(run, tokenizer, folder=job.work / "prompts", network=name)
    examples = {split: feeding.encode(cases, tokenizer, run) for split, cases in parts.items()}
    network = _network(base_model, run, feed, list(chain(*examples.values())), job)
    rows, held_out = feed.rows(examples["train"]), feed.rows(examples[chosen_on])
    size, longest = len(rows.lengths), max(rows.lengths)
    logger.info("%d cases in %d rows, longest %d tokens", len(parts["train"]), size, longest)
    task = Task(
        lengths=rows.lengths,
        collate=rows.collate,
        loss_sum=packing.next_token_loss_sum,
        evaluate=_evaluator(held_out, parts[chosen_on], tokenizer, run, feed, job),
        select_by=heldout.SELECT_BY[run.select_by],
        item_weights=rows.targets,
    )
    identity = [training_part(given(run)), sha256_file(records_path), base_weights]
    fitted = job.fit(network, task, run.training, identity=identity)

    feed.limit(network)
    settings = _settings(run, parts["train"][0], base_weights)
    save = partial(_store, network, tokenizer, base_model, settings)
    tokens = feed.tokens(examples["train"])
    speed = tokens * fitted.summary["samples_per_second"] / size
    fitted.summary.update(tokens_per_epoch=tokens, tokens_per_second=speed)
    job.finish(outputs, save, fitted, chosen_on=chosen_on, rows=size)
    if job.is_main:
        feed.close()


def _settings(run: SummaryRun, case: Case, base_weights: Sequence[str]) -> dict[str, Any]:
    """What is stored with the adapter; its base weights, so that it is put on no others."""
    stored = run.model_dump(include=set(networks.STORED_SETTINGS))
    if case.task == OWN_TASK:
        stored["fields"] = list(case.fields)
    if run.prompt_template is not None:
        stored["prompt_template"] = run.prompt_template
    return {"task": case.task, "base_model": run.model, "base_weights": base_weights, **stored}


def _parts(records_path: Path, run: SummaryRun) -> tuple[dict[str, list[Case]], str]:
    """The cases to train on and those to choose by, and the name of their split."""
    cases = with_fold(read_cases(records_path), run.fold)
    chosen_on = "validation" if any(case.split == "validation" for case in cases) else "test"
    if chosen_on == "test" and run.protocol == "corrected":
        raise UserError(
            f"{records_path}: no cases in the split validation, so the weights would be chosen by "
            "the test split, which a run of the corrected protocol must not see"
        )
    parts = {
        split: [case for case in cases if case.split == split] for split in ("train", chosen_on)
    }
    if not all(parts.values()):
        raise UserError(f"{records_path}: no cases in the splits train and {chosen_on}")
    return parts, chosen_on


def _network(
    base_model: Path,
    run: SummaryRun,
    feed: feeding.PackedCases,
    examples: Sequence[packing.Example],
    job: Job,
) -> Any:
    """The pretrained network with new adapters, checked for the way it is to be trained."""
    network = networks.load_network(
        base_model,
        dtype=job.dtype(run.training),
        device=job.device,
        four_bit=run.is_four_bit,
        attention=feed.attention,
    )
    check_training(network, packed=run.packing, longest=run.max_length)
    feed.prepare(network, examples, job.device)
    if run.training.gradient_checkpointing:
        network.activation_checkpointing_enable({"use_reentrant": False})
    adapted = text_models.add_lora(network, run.lora, task="CAUSAL_LM")
    logger.info(
        "%s, method %s: %d trainable parameters, %s",
        *(type(network).__name__, run.method),
        sum(p.numel() for p in adapted.parameters() if p.requires_grad),
        job.dtype(run.training),
    )
    return adapted


def _evaluator(
    held_out: feeding.Rows,
    cases: Sequence[Case],
    tokenizer: Any,
    run: SummaryRun,
    feed: feeding.PackedCases,
    job: Job,
) -> heldout.Evaluate:
    """The loss of held-out rows and, where they choose the weights, scores of answers."""
    evaluate = heldout.loss_evaluator(*held_out, job.device)
    if run.select_by == "loss":
        return evaluate
    return heldout.with_answers(
        evaluate,
        cases,
        tokenizer,
        run,
        job.device,
        seed=job.seed,
        adapted_tokens=feed.adapted_tokens,
        read=feed.read,
    )


def _store(
    network: Any, tokenizer: Any, base_model: Path, settings: Mapping[str, Any], directory: Path
) -> None:
    """Write the adapter, check that it reads back the same, and merge it if asked for."""
    with sealed_path(directory) as temporary:
        adapter = temporary / networks.ADAPTER_FOLDER
        text_models.save_adapter(network, adapter)
        _check_reload(network, adapter)
        tokenizer.save_pretrained(temporary)
        if settings["merge"]:
            networks.merge_adapter(base_model, adapter).save_pretrained(temporary)
        write_json(temporary / networks.SETTINGS_NAME, settings)


def _check_reload(network: Any, adapter: Path) -> None:
    """Raise unless the stored adapter holds exactly the network's."""
    # Not at the top: what it prints while it is loaded is for the log, which comes first.
    from peft import get_peft_model_state_dict

    stored = load_file(adapter / "adapter_model.safetensors")
    ours = get_peft_model_state_dict(network)
    if set(stored) != set(ours) or not all(
        torch.equal(stored[name], tensor.cpu()) for name, tensor in ours.items()
    ):
        raise UserError(f"{adapter}: the adapter does not read back as it was written")
