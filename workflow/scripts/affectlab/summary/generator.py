"""A language model that answers prompts in batches: `Generator`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affectlab.summary.settings import Generation

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

    from affectlab.summary.constrain import FieldsGrammar
    from affectlab.summary.states import Read


class Generator:
    """A loaded language model that answers prompts in batches."""

    def __init__(
        self,
        network: Any,
        tokenizer: PreTrainedTokenizerBase,
        device: torch.device,
        settings: Generation,
        *,
        adapted_tokens: int | None = None,
        read: Read | None = None,
    ) -> None:
        """Take a network in eval mode.

        Args:
            network: causal language model, with or without adapters, on *device*.
            tokenizer: of the network.
            device: where prompts are moved to.
            settings: how it answers.
            adapted_tokens: of adapters that act on the answer alone: how many tokens at the end of
                a prompt they act on too. None: they act everywhere, or there are none.
            read: how prompts are read; each time anew if None.
        """
        from affectlab.models.chat import stop_ids
        from affectlab.summary.states import read_prompt

        self.network, self.tokenizer, self.device = network, tokenizer, device
        self.settings = settings
        self._adapted_tokens = adapted_tokens
        self._read = read or read_prompt
        # The checkpoint's own settings would mix with ours.
        sampling = settings.model_dump(include={"temperature", "top_p", "top_k"})
        self._options = {
            "do_sample": settings.sample,
            "repetition_penalty": settings.repetition_penalty,
            "pad_token_id": tokenizer.pad_token_id,
            "eos_token_id": stop_ids(tokenizer, network),
            **(sampling if settings.sample else dict.fromkeys(sampling)),
        }

    def grammar(self, fields: Sequence[str], max_tokens: int) -> FieldsGrammar | None:
        """What answers with *fields* are held to; None where decoding is free, or text wanted."""
        if self.settings.decoding == "repaired" or len(fields) == 1:
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

        from affectlab.summary.prompt_cache import read_prompts

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


def load_generator(
    base_model: Path,
    adapter: Path | None,
    settings: Generation,
    *,
    four_bit: bool,
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
    dtype = devices.compute_dtype(settings.precision, place)
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


def _until(row: Sequence[int], ends: set[int]) -> list[int]:
    """The tokens before the first end token."""
    for place, token in enumerate(row):
        if token in ends:
            return list(row[:place])
    return list(row)
