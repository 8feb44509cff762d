"""Summaries of whole cases: batches of similar length against one case at a time.

Both use the same model, prompts, greedy decoding and cache of keys and values; the batches are
padded on the left. A batch ends when its last answer does.

    python benchmarks/summary_generation.py RECORDS MODEL [--cases 8] [--tokens 96]

RECORDS is the summary wing's records.jsonl; MODEL a chat model (a trained run's merged model, or
an untrained one). Prints cases per minute, the ratio, and how many answers are the same text. To
see that it works: --cases 2 --tokens 8.
"""

import argparse
import json
import time
from pathlib import Path

import torch

from affectlab.core import devices
from affectlab.summary.cases import read_cases
from affectlab.summary.generate import answer_all, build_requests, load_generator

RUN = {"prompt": "v1", "max_length": 8192, "max_answer_tokens": 512, "long_input": "head_tail"}
SETTINGS = {
    "sample": False,
    "temperature": 1.0,
    "top_p": 1.0,
    "top_k": 50,
    "repetition_penalty": 1.0,
    "decoding": "repaired",
}


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
        options.model, None, SETTINGS, four_bit=False, precision="auto", threads=options.threads
    )
    cases = [case for case in read_cases(options.records) if case.split == "test"]
    requests = list(build_requests(generator, cases[: options.cases], RUN, seed=0))
    seconds, texts = {}, {}
    for name, batch_tokens in (("one_by_one", 1), ("batched", options.batch_tokens)):
        generator.settings = SETTINGS | {"batch_tokens": batch_tokens}
        started = time.perf_counter()
        found = answer_all(generator, requests, max_tokens=options.tokens, seed=0)
        seconds[name] = time.perf_counter() - started
        texts[name] = [found[request.id]["text"] for request in requests]
    same = sum(one == other for one, other in zip(*texts.values(), strict=True))
    report = {
        "threads": options.threads,
        "cases": len(requests),
        "cases_per_minute": {name: 60 * len(requests) / value for name, value in seconds.items()},
        "ratio": seconds["one_by_one"] / seconds["batched"],
        "same_text": same,
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
