"""Cases that are longer than what the model reads are reported."""

from __future__ import annotations

import json
import logging

import torch

from affectlab.samples.summary_models import write_tiny_qwen2
from affectlab.summary import generate as generation
from affectlab.summary import model as networks
from affectlab.summary.cases import FIELDS
from affectlab.summary.generator import Generator
from affectlab.summary.layouts import read_requests
from affectlab.summary.settings import SummaryRun


def test_cut_cases_are_counted_in_the_log(tmp_path, caplog):
    write_tiny_qwen2(tmp_path / "model")
    network = networks.load_network(
        tmp_path / "model", dtype=torch.float32, device=torch.device("cpu"), four_bit=False
    ).eval()
    run = SummaryRun(method="prompt", max_length=900, max_answer_tokens=2)
    tokenizer = networks.load_tokenizer(tmp_path / "model")
    generator = Generator(network, tokenizer, torch.device("cpu"), run.generation)
    path = tmp_path / "cases.jsonl"
    rows = [
        {"id": number, "case_description": ["Sleep. " * count], "consultation_process": ["x"]}
        for number, count in ((1, 3), (2, 900), (3, 900))
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    with caplog.at_level(logging.WARNING):
        requests, _ = generation.answer_cases(
            generator, read_requests(path, FIELDS), run, fields=FIELDS, seed=0
        )
    cut = [request.cut_tokens for request in requests]
    assert cut[0] == 0 < cut[1]
    total = sum(request.case_tokens for request in requests[1:])
    assert "2 of 3 cases are longer than what the model reads" in caplog.text
    assert f"{sum(cut)} of their {total} tokens were left out, first of 2" in caplog.text
