"""Summaries of whole cases: in batches of similar length, against one case at a time.

One at a time is `generate` of transformers on one prompt after the other, with the model as
transformers loads it: the original project's way. In batches, each prompt is read alone and the
answers are written together. Both use the same weights, prompts and greedy decoding. A batch ends
when its last answer does. The sides take turns: a batch, then the same cases one by one.

    python benchmarks/summary_generation.py RECORDS MODEL [--cases 8] [--tokens 96]

RECORDS is the summary experiment's records.jsonl; MODEL a chat model (a trained run's merged
model, or an untrained one). Prints cases per minute, the ratio, and the equal answers. To see
that it works: --cases 2 --tokens 8.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch

from affectlab.models import devices
from affectlab.summary.answering import length_sorted_batches
from affectlab.summary.cases import read_cases
from affectlab.summary.generator import load_generator
from affectlab.summary.model import load_network, stop_ids
from affectlab.summary.prompting import build_requests
from affectlab.summary.settings import SummaryRun

RUN = SummaryRun(method="prompt")
"""The defaults: 8,192 tokens of prompt and answer, greedy decoding."""


def main() -> None:
    """Run both sides and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("records", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--cases", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=96, help="length of every answer")
    parser.add_argument("--batch-tokens", type=int, default=32768)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    devices.set_threads(options.threads)
    generator = load_generator(
        options.model, None, RUN.generation, four_bit=False, threads=options.threads
    )
    plain = load_network(
        options.model,
        dtype=generator.network.dtype,
        device=generator.device,
        four_bit=False,
    ).eval()
    cases = [case for case in read_cases(options.records) if case.split == "test"]
    requests = list(build_requests(generator, cases[: options.cases], RUN, seed=0))
    seconds = {"one_by_one": 0.0, "batched": 0.0}
    same = 0
    for batch in length_sorted_batches(requests, options.batch_tokens):
        prompts = [request.ids for request in batch]
        started = time.perf_counter()
        together = generator.answer(prompts, max_tokens=options.tokens, seed=0)
        seconds["batched"] += time.perf_counter() - started
        started = time.perf_counter()
        alone = [answer_alone(plain, generator.tokenizer, ids, options.tokens) for ids in prompts]
        seconds["one_by_one"] += time.perf_counter() - started
        same += sum(one == other for one, other in zip(together, alone, strict=True))
    report = {
        "threads": options.threads,
        "cases": len(requests),
        "prompt_tokens": sum(len(request.ids) for request in requests),
        "cases_per_minute": {name: 60 * len(requests) / value for name, value in seconds.items()},
        "ratio": seconds["one_by_one"] / seconds["batched"],
        "same_answers": same,
    }
    print(json.dumps(report, indent=2))


def answer_alone(network: Any, tokenizer: Any, ids: list[int], tokens: int) -> list[int]:
    """Greedy answer of transformers to one prompt, without the end token."""
    ends = stop_ids(tokenizer, network)
    with torch.inference_mode():
        output = network.generate(
            input_ids=torch.tensor([ids]),
            attention_mask=torch.ones(1, len(ids), dtype=torch.long),
            max_new_tokens=tokens,
            do_sample=False,
            temperature=None,
            top_p=None,
            top_k=None,
            repetition_penalty=RUN.generation.repetition_penalty,
            eos_token_id=ends,
            pad_token_id=tokenizer.pad_token_id,
        )
    answer = output[0, len(ids) :].tolist()
    return answer[: next((i for i, token in enumerate(answer) if token in ends), len(answer))]


if __name__ == "__main__":
    main()
