"""Fitting a language model's adapters to write summaries: LoRA, or QLoRA in 4 bits."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affectlab.assets.checkpoints import weights_digest
from affectlab.errors import UserError
from affectlab.evaluation.records import origin_record
from affectlab.files.io import sealed_path, sha256_file, write_json
from affectlab.summary.answers import target_text
from affectlab.summary.cases import Case, read_cases, with_fold
from affectlab.summary.methods import needs_validation, training_part
from affectlab.summary.prompts import build_prompt, case_text, task_of

if TYPE_CHECKING:
    from affectlab.summary.packing import Example
    from affectlab.summary.states import PromptStates

logger = logging.getLogger(__name__)


def train(
    *,
    records_path: Path,
    base_model: Path,
    run: Mapping[str, Any],
    seed: int,
    threads: int,
    model_directory: Path,
    history_path: Path,
    facts_path: Path,
    work_directory: Path,
) -> None:
    """Train adapters on the train split; the weights that do best on held-out cases are kept.

    ``select_by`` says what is best: the loss, or ROUGE-L of the answers they give.

    Data without a validation split (PsyQA, as published) is chosen by on its test split, and the
    facts say so; a run of the corrected protocol is refused then. May be called in several
    processes (`training.launch`); the main one writes.

    Args:
        records_path: the tidy table of cases.
        base_model: checkpoint directory of the pretrained model.
        run: the run's block of the configuration (``method`` ``lora`` or ``qlora``).
        seed: of initialisation, dropout and data order.
        threads: CPU threads.
        model_directory: written at the end: adapter, tokenizer, what prediction needs to know
            and, with ``merge``, the merged checkpoint.
        history_path: CSV with losses over the run.
        facts_path: JSON with durations, memory, device: what may differ between equal runs.
        work_directory: checkpoints, TensorBoard events and, with ``adapter_scope: answer``, the
            states of all prompts; all but the events go when everything is stored.

    Raises:
        UserError: no cases to train on or, other than the test split's, to choose by; an unusable
            model, a broken checkpoint.
    """
    from accelerate import PartialState

    from affectlab.models import devices, text_models
    from affectlab.summary import heldout, packing, states
    from affectlab.summary import model as networks
    from affectlab.summary.attention import check_training
    from affectlab.training import checkpoints, loop
    from affectlab.training.history import write_history

    cases = with_fold(read_cases(records_path), run["fold"])
    chosen_on = "validation" if any(case.split == "validation" for case in cases) else "test"
    if chosen_on == "test" and needs_validation(run):
        raise UserError(
            f"{records_path}: no cases in the split validation, so the weights would be chosen by "
            "the test split, which a run of the corrected protocol must not see"
        )
    devices.set_threads(threads)
    device = devices.choose_device()
    recipe = loop.Recipe(**run["training"])
    dtype = devices.compute_dtype(recipe.precision, device)
    devices.seed_everything(seed)
    tokenizer = networks.load_tokenizer(base_model)
    answers_alone = run["adapter_scope"] == "answer"
    packed = run["packing"] and not answers_alone
    network: Any = networks.load_network(
        base_model,
        dtype=dtype,
        device=device,
        four_bit=run["method"] == "qlora",
        attention=packing.PACKED_ATTENTION if packed else states.ROW_ATTENTION,
    )
    check_training(network, packed=run["packing"], longest=run["max_length"])
    parts = {
        split: [case for case in cases if case.split == split] for split in ("train", chosen_on)
    }
    examples = {split: encode(members, tokenizer, run) for split, members in parts.items()}
    if not all(examples.values()):
        raise UserError(f"{records_path}: no cases in the splits train and {chosen_on}")
    digest = weights_digest(base_model)
    opening = len(networks.answer_opening(tokenizer)) if answers_alone else 0
    store = states.PromptStore(work_directory / "prompts" / checkpoints.fingerprint(digest, dtype))
    if answers_alone:
        prompts = [one.ids[: one.prompt_length - opening] for e in examples.values() for one in e]
        store.fill(network.eval(), prompts, device)
        network.set_attn_implementation(states.ANSWER_ATTENTION)
    if recipe.gradient_checkpointing:
        network.activation_checkpointing_enable({"use_reentrant": False})
    network = text_models.add_lora(network, run["lora"], task="CAUSAL_LM")
    states_of = store.get if answers_alone else None
    batching = {
        split: batches(
            members, run, pad_id=tokenizer.pad_token_id, opening=opening, states_of=states_of
        )
        for split, members in examples.items()
    }
    lengths, weights, collate = batching["train"]
    logger.info(
        "%s, method %s: %d trainable parameters, %s; %d cases in %d rows, longest %d tokens",
        type(network.get_base_model()).__name__,
        run["method"],
        sum(p.numel() for p in network.parameters() if p.requires_grad),
        dtype,
        len(examples["train"]),
        len(lengths),
        max(lengths),
    )
    evaluate = heldout.loss_evaluator(*batching[chosen_on], device)
    if run["select_by"] != "loss":
        evaluate = heldout.with_answers(
            evaluate,
            parts[chosen_on],
            tokenizer,
            run,
            device,
            seed=seed,
            adapted_tokens=opening or None,
            read=store.read if answers_alone else None,
        )
    result = loop.fit(
        network,
        recipe=recipe,
        lengths=lengths,
        collate=collate,
        loss_sum=packing.next_token_loss_sum,
        evaluate=evaluate,
        select_by=heldout.SELECT_BY[run["select_by"]],
        item_weights=weights,
        seed=seed,
        device=device,
        checkpoint_directory=work_directory / "checkpoints",
        checkpoint_fingerprint=checkpoints.fingerprint(
            training_part(run), seed, sha256_file(records_path), digest
        ),
        tensorboard_directory=work_directory / "tensorboard",
    )
    if not PartialState().is_main_process:
        return
    if answers_alone:
        networks.limit_to_answers(network, tokenizer)
    _store(network, tokenizer, base_model, digest, run, task_of(cases[0]), model_directory)
    tokens = sum(len(example.ids) for example in examples["train"])
    if answers_alone:
        tokens -= sum(example.prompt_length - opening for example in examples["train"])
    result |= {
        "chosen_on": chosen_on,
        "rows": len(lengths),
        "tokens_per_epoch": tokens,
        "tokens_per_second": tokens * result["samples_per_second"] / len(lengths),
    }
    write_history(history_path, result.pop("history"))
    write_json(facts_path, {**result, **origin_record()}, sealed=True)
    checkpoints.remove_checkpoints(work_directory / "checkpoints")
    shutil.rmtree(work_directory / "prompts", ignore_errors=True)


def encode(cases: Sequence[Case], tokenizer: Any, run: Mapping[str, Any]) -> list[Example]:
    """Prompt, answer and end token of each case, together at most ``max_length`` tokens."""
    from affectlab.models.text_models import encode_texts
    from affectlab.summary.packing import Example

    examples = []
    for case in cases:
        answer = encode_texts(tokenizer, target_text(case.references), add_special_tokens=False)[
            "input_ids"
        ]
        answer = [*answer[: run["max_answer_tokens"] - 1], tokenizer.eos_token_id]
        prompt = build_prompt(
            tokenizer,
            case_text(case),
            task=task_of(case),
            version=run["prompt"],
            language=case.language,
            max_tokens=run["max_length"] - len(answer),
        )
        examples.append(Example([*prompt.ids, *answer], len(prompt.ids)))
    return examples


def batches(
    examples: Sequence[Example],
    run: Mapping[str, Any],
    *,
    pad_id: int,
    opening: int = 0,
    states_of: Callable[[Sequence[int]], PromptStates] | None = None,
) -> tuple[list[int], list[int], Callable[..., Any]]:
    """How examples are fed to the network: length and target tokens of each item, and a collator.

    An item is a packed row, or with ``packing: false`` one example padded to ``max_length``. With
    *states_of*, the stored states of a prompt less its *opening* last tokens, only answers are fed.
    """
    from affectlab.summary import packing

    answer_only = run["loss"] == "answer"
    targets = [packing.target_tokens(one, answer_only=answer_only) for one in examples]
    if not run["packing"]:
        collate = packing.padded_collator(
            examples, pad_id=pad_id, pad_to=run["max_length"], answer_only=answer_only
        )
        return [run["max_length"]] * len(examples), targets, collate
    sizes = [len(one.ids) for one in examples]
    rows = packing.pack(sizes, run["max_length"])
    if states_of is not None:
        collate = packing.answers_collator(examples, rows, opening=opening, states_of=states_of)
    else:
        collate = packing.packed_collator(examples, rows, answer_only=answer_only)
    return (
        [sum(sizes[item] for item in row) for row in rows],
        [sum(targets[item] for item in row) for row in rows],
        collate,
    )


def _store(
    network: Any,
    tokenizer: Any,
    base_model: Path,
    base_weights: Sequence[str],
    run: Mapping[str, Any],
    task: str,
    model_directory: Path,
) -> None:
    """Write the adapter, check that it reads back the same, and merge it if asked for.

    *base_weights* (`checkpoints.weights_digest`) is stored with it, so that it is put on no others.
    """
    from affectlab.models.text_models import save_adapter
    from affectlab.summary import model as networks

    with sealed_path(model_directory) as temporary:
        adapter = temporary / networks.ADAPTER_FOLDER
        save_adapter(network, adapter)
        _check_reload(network, adapter)
        tokenizer.save_pretrained(temporary)
        if run["merge"]:
            networks.merge_adapter(base_model, adapter).save_pretrained(temporary)
        write_json(
            temporary / networks.SETTINGS_NAME,
            {
                "task": task,
                "base_model": run["model"],
                "base_weights": base_weights,
                **{name: run[name] for name in networks.STORED_SETTINGS},
            },
        )


def _check_reload(network: Any, adapter: Path) -> None:
    """Raise unless the stored adapter holds exactly the network's."""
    import torch
    from peft import get_peft_model_state_dict
    from safetensors.torch import load_file

    stored = load_file(adapter / "adapter_model.safetensors")
    ours = get_peft_model_state_dict(network)
    if set(stored) != set(ours) or not all(
        torch.equal(stored[name], tensor.cpu()) for name, tensor in ours.items()
    ):
        raise UserError(f"{adapter}: the adapter does not read back as it was written")
