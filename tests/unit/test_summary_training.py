"""Training, generating and asking, on a tiny random Qwen2 and generated cases."""

import csv
import json
import logging
import os
import re
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from blocks import changed
from example_programs import run_example
from predictor_checks import check_predictor
from safetensors.torch import load_file, save_file

from affectlab import cli
from affectlab.config.models import Lora, Training
from affectlab.errors import DataError, UserError
from affectlab.files.io import read_json, read_jsonl, write_json
from affectlab.models import devices
from affectlab.models.text_models import add_lora
from affectlab.report import model_cards
from affectlab.samples.summary import write_longemotion, write_psyqa
from affectlab.samples.summary_models import write_tiny_qwen2
from affectlab.summary import card, feeding
from affectlab.summary import generate as generation
from affectlab.summary import model as networks
from affectlab.summary import train as fitting
from affectlab.summary.answering import answer_all, length_sorted_batches
from affectlab.summary.answers import parse, read_predictions
from affectlab.summary.cases import FIELDS, REFLECTION, Case, read_cases
from affectlab.summary.convert import Outputs as Converted
from affectlab.summary.convert import convert
from affectlab.summary.generator import Generator, load_generator
from affectlab.summary.layouts import read_requests
from affectlab.summary.packing import PACKED_ATTENTION, next_token_loss_sum
from affectlab.summary.predict import CaseSummarizer
from affectlab.summary.prompting import _note_requests, build_requests
from affectlab.summary.prompts import build_prompt, case_text, chunks, instruction
from affectlab.summary.settings import Generation, Split, SummaryRun
from affectlab.summary.states import PromptStore
from affectlab.training.outputs import Outputs

pytestmark = pytest.mark.usefixtures("edited_models")

RUN = SummaryRun(
    method="lora",
    model="tiny",
    data="cases",
    max_length=2048,
    max_answer_tokens=40,
    merge=True,
    lora=Lora(
        rank=4,
        alpha=8,
        target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "up_proj", "down_proj"],
    ),
    training=Training(
        epochs=2,
        batch_size=2,
        learning_rate=5e-3,
        weight_decay=0.0,
        schedule="cosine",
        precision="fp32",
        gradient_checkpointing=True,
    ),
    generation=Generation(temperature=0.7, top_p=0.9, batch_tokens=3000, precision="fp32"),
)
PUBLISHED = changed(
    RUN, protocol="published", method="qlora", loss="all", packing=False, merge=False
)


CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    path = tmp_path_factory.mktemp("model")
    write_tiny_qwen2(path)
    return path


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_longemotion(folder / "raw", cases=20)
    outputs = Converted(folder / "r.jsonl", folder / "q.jsonl", folder / "d.json")
    convert(folder / "raw", outputs, {"layout": "longemotion"}, split=Split())
    return folder / "r.jsonl"


def train(folder, records, base, run):
    fitting.train(
        records_path=records,
        base_model=base,
        run=run,
        seed=3,
        threads=1,
        outputs=Outputs(folder / "model", folder / "history.csv", folder / "training.json"),
    )
    return folder


def generate(folder, records, base, run, adapter):
    generation.generate(
        records_path=records,
        base_model=base,
        adapter=adapter,
        run=run,
        seed=3,
        threads=1,
        predictions_path=folder / "predictions.jsonl",
        details_path=folder / "details.jsonl",
        work_directory=folder / "work",
    )
    return list(read_jsonl(folder / "details.jsonl"))


@pytest.fixture(scope="module")
def trained(tmp_path_factory, records, base):
    return train(tmp_path_factory.mktemp("run"), records, base, RUN)


def losses(folder, split):
    rows = (folder / "history.csv").read_text().splitlines()
    return [float(row.split(",")[3]) for row in rows[1:] if f",{split}," in row]


def test_training_lowers_the_loss_and_stores_everything(trained):
    assert losses(trained, "validation")[-1] < losses(trained, "validation")[0]
    facts = read_json(trained / "training.json")
    assert facts["chosen_on"] == "validation"
    assert facts["rows"] < 14
    names = {path.name for path in (trained / "model").iterdir()}
    assert {"adapter", "model.safetensors", "tokenizer.json", "summary.json"} <= names
    assert not (trained / "work" / "checkpoints").exists()


def test_the_weights_that_are_kept_have_the_loss_of_held_out_cases(trained, records, base):
    """Case by case, by transformers' own loss, with the adapter that was stored."""
    network = networks.load_network(base, dtype=torch.float32, device=CPU, four_bit=False)
    network = networks.load_adapter(network, trained / "model" / "adapter").eval()
    total = tokens = 0
    held_out = [case for case in read_cases(records) if case.split == "validation"]
    for one in feeding.encode(held_out, networks.load_tokenizer(base), RUN):
        labels = [-100] * one.prompt_length + one.ids[one.prompt_length :]
        with torch.inference_mode():
            loss = network(torch.tensor([one.ids]), labels=torch.tensor([labels])).loss.item()
        answer = len(one.ids) - one.prompt_length
        total, tokens = total + answer * loss, tokens + answer
    best = min(validation_rows(trained), key=lambda row: float(row["loss"]))
    assert float(best["loss"]) == pytest.approx(total / tokens, rel=1e-4)
    assert read_json(trained / "training.json")["best_step"] == int(best["step"])


def test_the_same_seed_gives_the_same_bytes(trained, tmp_path, records, base):
    again = train(tmp_path, records, base, RUN)
    name = "model/adapter/adapter_model.safetensors"
    assert (again / name).read_bytes() == (trained / name).read_bytes()


def test_merged_and_adapted_models_agree(trained, base):
    cpu = torch.device("cpu")
    ids = torch.arange(5, 60)[None]
    outputs = []
    for directory in (trained / "model", base):
        network = networks.load_network(directory, dtype=torch.float32, device=cpu, four_bit=False)
        if directory == base:
            before = network(ids).logits
            network = networks.load_adapter(network, trained / "model" / "adapter")
        with torch.inference_mode():
            outputs.append(network(ids).logits)
    torch.testing.assert_close(*outputs, atol=1e-4, rtol=1e-4)
    assert (before - outputs[0]).abs().max() > 1e-3


@pytest.mark.parametrize("four_bit", [False, True])
def test_a_checkpoint_that_lacks_weights_is_refused(base, tmp_path, four_bit):
    options = {"dtype": torch.float32, "device": CPU, "four_bit": four_bit}
    stored = load_file(base / "model.safetensors")
    # The output layer is the table of embeddings: it is not stored, and nothing is amiss.
    assert "lm_head.weight" not in stored
    networks.load_network(base, **options)
    folder = shutil.copytree(base, tmp_path / "base")
    del stored["model.layers.1.mlp.up_proj.weight"]
    save_file(stored, folder / "model.safetensors", {"format": "pt"})
    message = r"lacks 1 of its weights, model\.layers\.1\.mlp\.up_proj\.weight among them"
    with pytest.raises(UserError, match=message):
        networks.load_network(folder, **options)


def lora_gradients(network, batch):
    next_token_loss_sum(network, batch).backward()
    found = {
        name: float(parameter.grad.abs().max())
        for name, parameter in network.named_parameters()
        if "lora_B" in name
    }
    network.zero_grad()
    return found


def test_four_bit_adapters_still_learn_after_an_evaluation(base, records):
    """bitsandbytes would repack the weights in eval mode, after which nothing is learnt."""
    device = torch.device("cpu")
    dtype = devices.compute_dtype("auto", device)
    devices.seed_everything(0)
    network = networks.load_network(
        base, dtype=dtype, device=device, four_bit=True, attention=PACKED_ATTENTION
    )
    kinds = {type(module).__name__ for module in network.modules()}
    assert "Linear4bit" in kinds
    network = add_lora(network, RUN.lora, task="CAUSAL_LM")
    for parameter in network.parameters():
        if parameter.is_floating_point():
            parameter.data = parameter.data.to(dtype)
    cases = [case for case in read_cases(records) if case.split == "train"][:2]
    tokenizer = networks.load_tokenizer(base)
    run = changed(RUN, method="qlora", merge=False)
    feed = feeding.PackedCases(run)
    batch = feed.rows(feeding.encode(cases, tokenizer, run)).collate(np.array([0]))
    before = lora_gradients(network.train(), batch)
    network.eval()
    with torch.inference_mode():
        assert next_token_loss_sum(network, batch).isfinite()
    after = lora_gradients(network.train(), batch)
    assert min(before.values()) > 0
    assert min(after.values()) > 0


def test_no_processor_is_let_repack_4_bit_weights(base, monkeypatch):
    """Where the processor could, bitsandbytes says so in each layer; here it is made to."""
    monkeypatch.setattr("bitsandbytes.nn.modules.has_avx512bf16", lambda: True)
    import bitsandbytes

    flag = "support_avx512bf16_for_cpu"
    assert getattr(bitsandbytes.nn.Linear4bit(4, 4), flag)
    network = networks.load_network(base, dtype=torch.float32, device=CPU, four_bit=True)
    flags = [getattr(module, flag) for module in network.modules() if hasattr(module, flag)]
    assert flags
    assert not any(flags)


def test_the_published_recipe_runs_and_says_what_it_chose_on(tmp_path, base):
    write_psyqa(tmp_path / "raw", cases=12)
    records = tmp_path / "r.jsonl"
    outputs = Converted(records, tmp_path / "q.jsonl", tmp_path / "d.json")
    convert(tmp_path / "raw", outputs, {"layout": "psyqa"}, split=Split())
    run = changed(PUBLISHED, max_length=512, training=changed(RUN.training, epochs=1))
    with pytest.raises(UserError, match=r"r\.jsonl: no cases in the split validation, so the"):
        train(tmp_path, records, base, changed(run, protocol="corrected"))
    train(tmp_path, records, base, run)
    facts = read_json(tmp_path / "training.json")
    assert facts["chosen_on"] == "test"
    assert facts["rows"] == 10
    sampled = changed(run, generation=changed(RUN.generation, sample=True))
    rows = generate(tmp_path, records, base, sampled, tmp_path / "model" / "adapter")
    assert len(rows) == 2
    assert all(row["error"] is None for row in rows)
    with pytest.raises(UserError, match="holds an adapter of tiny"):
        CaseSummarizer.from_directory(tmp_path / "model")


def test_adapters_of_the_answer_learn_and_go_on_after_a_kill(
    tmp_path, records, base, monkeypatch, caplog
):
    run = changed(RUN, adapter_scope="answer", merge=False)
    undisturbed = train(tmp_path / "one", records, base, run)
    assert losses(undisturbed, "validation")[-1] < losses(undisturbed, "validation")[0]
    assert not (undisturbed / "work" / "prompts").exists()
    facts = read_json(undisturbed / "training.json")
    # What is computed in an epoch: answers and their openings, no prompts.
    answers = sum(
        len(one.ids) - one.prompt_length
        for one in feeding.encode(
            [case for case in read_cases(records) if case.split == "train"],
            networks.load_tokenizer(base),
            run,
        )
    )
    assert answers < facts["tokens_per_epoch"] < answers * 2

    real = PromptStore.fill

    def killed(store, network, prompts, device):
        real(store, network, prompts[:5], device)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("affectlab.summary.states.PromptStore.fill", killed)
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path / "two", records, base, run)
    stored = list((tmp_path / "two" / "work" / "prompts").rglob("*.safetensors"))
    assert len(stored) == 5

    updates = []

    def stopped(network, batch):
        updates.append(batch)
        if len(updates) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return next_token_loss_sum(network, batch)

    with monkeypatch.context() as patch:
        patch.setattr("affectlab.summary.packing.next_token_loss_sum", stopped)
        with pytest.raises(SystemExit):
            train(tmp_path / "two", records, base, run)
    caplog.set_level("INFO")
    resumed = train(tmp_path / "two", records, base, run)
    assert "resuming from update 2" in caplog.text
    name = "model/adapter/adapter_model.safetensors"
    assert (resumed / name).read_bytes() == (undisturbed / name).read_bytes()

    rows = generate(undisturbed, records, base, run, undisturbed / "model" / "adapter")
    assert all(row["error"] is None for row in rows)
    summarizer = CaseSummarizer.from_directory(undisturbed / "model", base_model=base, threads=1)
    cases = [case for case in read_cases(records) if case.split == "test"]
    again = summarizer.predict(cases)
    assert [answer.fields for answer in again] == [
        parse(row["text"], FIELDS).fields for row in rows
    ]


def validation_rows(folder):
    with (folder / "history.csv").open() as stream:
        return [row for row in csv.DictReader(stream) if row["split"] == "validation"]


@pytest.mark.parametrize("scope", ["all", "answer"])
def test_answers_on_the_way_are_those_of_the_stored_weights(
    tmp_path, records, base, scope, monkeypatch
):
    training = changed(RUN.training, learning_rate=2e-2)
    run = changed(RUN, adapter_scope=scope, merge=False, select_by="rouge_l", training=training)
    seen = []

    def noted(*arguments, **options):
        requests, found = generation.answer_cases(*arguments, **options)
        seen.append(found)
        return requests, found

    monkeypatch.setattr("affectlab.summary.heldout.answer_cases", noted)
    train(tmp_path, records, base, run)
    steps = [int(row["step"]) for row in validation_rows(tmp_path)]
    assert len(seen) == len(steps) == 2
    answers = seen[steps.index(read_json(tmp_path / "training.json")["best_step"])]
    generator = load_generator(
        base,
        tmp_path / "model" / "adapter",
        run.generation,
        four_bit=False,
        threads=1,
    )
    held_out = [case for case in read_cases(records) if case.split == "validation"]
    requests = list(build_requests(generator, held_out, run, seed=3))
    assert answer_all(generator, requests, max_tokens=40, seed=3) == answers
    assert all(answer["text"] for answer in answers.values())
    assert seen[0] != seen[1]


def test_weights_can_be_chosen_by_the_answers_they_give(tmp_path, records, base, monkeypatch):
    held_out = {case.id: case for case in read_cases(records) if case.split == "validation"}
    # What is said in three evaluations: three words of each field, all of it, broken JSON.
    said = [
        {
            name: json.dumps({f: " ".join(case.references[f].split()[:3]) for f in FIELDS})
            for name, case in held_out.items()
        },
        {name: json.dumps(dict(case.references)) for name, case in held_out.items()},
        dict.fromkeys(held_out, '{"causes": "nothing'),
    ]
    turns = iter(said)

    def answers(generator, cases, *_, **__):
        turn = next(turns)
        torch.rand(1)  # Answers may use up random numbers; the training must not notice.
        return [], {
            case.id: {"text": turn[case.id], "answer_tokens": 1, "error": None} for case in cases
        }

    monkeypatch.setattr("affectlab.summary.heldout.answer_cases", answers)
    run = changed(RUN, select_by="rouge_l", training=changed(RUN.training, epochs=3), merge=False)
    train(tmp_path / "answers", records, base, run)
    rows = validation_rows(tmp_path / "answers")
    wanted = [
        np.mean(
            [
                lcs_f1(
                    words(" ".join(held_out[name].references[f] for f in FIELDS)),
                    words(" ".join(json.loads(text)[f] for f in FIELDS)),
                )
                for name, text in turn.items()
            ]
        )
        for turn in said[:2]
    ]
    assert 0 < wanted[0] < wanted[1] == 1
    assert [float(row["rouge_l"]) for row in rows[:2]] == pytest.approx(wanted)
    assert [float(row["valid_output"]) for row in rows] == [1, 1, 0]
    assert read_json(tmp_path / "answers" / "training.json")["best_step"] == int(rows[1]["step"])

    train(tmp_path / "loss", records, base, changed(run, select_by="loss"))
    plain = validation_rows(tmp_path / "loss")
    assert [row["loss"] for row in plain] == [row["loss"] for row in rows]
    assert "rouge_l" not in plain[0]


def fails(generator, prompts, **_):
    """In place of `Generator.answer`."""
    raise RuntimeError("out of memory")


def test_answers_that_all_fail_end_no_training(tmp_path, records, base, monkeypatch):
    run = changed(RUN, select_by="rouge_l", merge=False)
    with monkeypatch.context() as patch:
        patch.setattr("affectlab.summary.generator.Generator.answer", fails)
        train(tmp_path, records, base, run)
    rows = validation_rows(tmp_path)
    assert [(float(row["rouge_l"]), float(row["valid_output"])) for row in rows] == [(0, 0)] * 2
    assert (tmp_path / "model" / "adapter").is_dir()


def words(text):
    return re.findall(r"[a-z0-9]+", text.lower())


def lcs_f1(one, other):
    """F1 of the longest common subsequence (Lin 2004), by the textbook table."""
    table = np.zeros((len(one) + 1, len(other) + 1))
    for i, left in enumerate(one):
        for j, right in enumerate(other):
            table[i + 1, j + 1] = (
                table[i, j] + 1 if left == right else max(table[i, j + 1], table[i + 1, j])
            )
    return 2 * table[-1, -1] / (len(one) + len(other))


def test_adapters_of_all_tokens_need_no_opening_of_answers(tmp_path, records, base):
    """Mistral's chat template adds nothing before an answer."""
    folder = tmp_path / "base"
    shutil.copytree(base, folder)
    tokenizer = networks.load_tokenizer(folder)
    tokenizer.chat_template = "{% for m in messages %}[INST]{{ m['content'] }}[/INST]{% endfor %}"
    tokenizer.save_pretrained(folder)
    run = changed(RUN, merge=False, training=changed(RUN.training, epochs=1))
    train(tmp_path / "all", records, folder, run)
    assert (tmp_path / "all" / "model" / "adapter").is_dir()
    with pytest.raises(UserError, match="no tokens that open an answer"):
        train(tmp_path / "answer", records, folder, changed(run, adapter_scope="answer"))


def test_an_unknown_module_is_named(base):
    network = networks.load_network(
        base, dtype=torch.float32, device=torch.device("cpu"), four_bit=False
    )
    with pytest.raises(UserError, match="no module called key_proj"):
        add_lora(network, changed(RUN.lora, target_modules=["key_proj"]), task="CAUSAL_LM")


@pytest.fixture(scope="module")
def generator(base):
    return load_generator(base, None, RUN.generation, four_bit=False, threads=1)


def requests_of(generator, records, run=RUN):
    return list(build_requests(generator, read_cases(records)[:7], run, seed=0))


def test_batches_answer_as_one_by_one(generator, records):
    requests = requests_of(generator, records)
    batches = length_sorted_batches(requests, 3000)
    assert 1 < len(batches) < len(requests)
    assert all(len(b) * max(len(r.ids) for r in b) <= 3000 for b in batches)
    together = answer_all(generator, requests, max_tokens=20, seed=0)
    for request in requests:
        (alone,) = generator.answer([request.ids], max_tokens=20, seed=0)
        assert together[request.id]["text"] == generator.tokenizer.decode(alone)


class Failing:
    """A generator that fails for some requests, and counts how often it is asked."""

    def __init__(self, inner, fails):
        self.inner, self.fails, self.asked = inner, fails, []
        self.settings, self.tokenizer = inner.settings, inner.tokenizer

    def answer(self, prompts, *, max_tokens, seed, grammar=None):
        self.asked.append(len(prompts))
        if any(len(ids) in self.fails for ids in prompts):
            raise RuntimeError("out of memory")
        return self.inner.answer(prompts, max_tokens=max_tokens, seed=seed, grammar=grammar)


def test_a_failing_case_costs_no_other(generator, records):
    requests = requests_of(generator, records)
    lengths = [len(request.ids) for request in requests]
    unlucky = next(i for i, length in enumerate(lengths) if lengths.count(length) == 1)
    found = answer_all(Failing(generator, {lengths[unlucky]}), requests, max_tokens=5, seed=0)
    errors = {name for name, row in found.items() if row["error"] is not None}
    assert errors == {requests[unlucky].id}
    assert found[requests[unlucky].id]["error"] == "RuntimeError: out of memory"


def test_a_run_without_a_single_answer_ends_and_can_be_started_again(
    tmp_path, records, base, monkeypatch
):
    run = changed(RUN, method="prompt", max_answer_tokens=5)
    first = next(case for case in read_cases(records) if case.split == "test")

    def fails_for_many_reasons(generator, prompts, **_):
        # A batch that fails is asked again one by one, and that is what counts.
        if len(prompts) > 1:
            raise RuntimeError("a whole batch")
        odd = first.case_description[0] in generator.tokenizer.decode(prompts[0])
        raise RuntimeError("CUDA error" if odd else "out of memory")

    with monkeypatch.context() as patch:
        patch.setattr("affectlab.summary.generator.Generator.answer", fails_for_many_reasons)
        message = r"none of the 4 test cases could be answered, .*reason: RuntimeError: out of mem"
        with pytest.raises(UserError, match=message):
            generate(tmp_path, records, base, run, None)
    assert not (tmp_path / "predictions.jsonl").exists()
    assert [row["error"] for row in generate(tmp_path, records, base, run, None)] == [None] * 4


def test_an_interrupted_run_asks_only_for_the_rest(generator, records, tmp_path):
    requests = requests_of(generator, records)
    path = tmp_path / "work" / "answers.jsonl"
    options = {"max_tokens": 5, "seed": 0, "progress_path": path, "fingerprint": "one"}
    whole = answer_all(generator, requests, **options)
    lines = path.read_text().splitlines()
    # Killed in the midst of the second line of the last batch.
    # ... and of a Chinese character.
    path.write_bytes("\n".join([*lines[:-1], "{" + "心" * 9]).encode()[:-1])
    counting = Failing(generator, set())
    assert answer_all(counting, requests, **options) == whole
    assert len(counting.asked) == 1
    counting = Failing(generator, set())
    answer_all(counting, requests, **(options | {"fingerprint": "two"}))
    assert sum(counting.asked) == len(requests)


@pytest.mark.parametrize("sample", [False, True])
def test_constrained_answers_of_an_untrained_model_are_valid(generator, records, tmp_path, sample):
    settings = changed(RUN.generation, sample=sample, decoding="constrained")
    held = Generator(generator.network, generator.tokenizer, CPU, settings)
    requests = requests_of(held, records)
    grammar = held.grammar(FIELDS, 90)
    path = tmp_path / "answers.jsonl"
    options = {
        "max_tokens": 90,
        "seed": 0,
        "grammar": grammar,
        "progress_path": path,
        "fingerprint": "",
    }
    found = answer_all(held, requests, **options)
    for answer in found.values():
        assert answer["error"] is None
        assert answer["answer_tokens"] <= 90
        written = json.loads(answer["text"])
        assert list(written) == list(FIELDS)
        assert all(value.strip() for value in written.values())
        assert parse(answer["text"], FIELDS).valid
    free = answer_all(generator, requests, max_tokens=90, seed=0)
    assert not any(parse(answer["text"], FIELDS).valid for answer in free.values())
    # A killed run ends in the same answers.
    path.write_text(path.read_text().split("\n")[0] + "\n")
    assert answer_all(held, requests, **options) == found
    if not sample:
        for request in requests:
            (alone,) = held.answer([request.ids], max_tokens=90, seed=0, grammar=grammar)
            assert found[request.id]["text"] == held.tokenizer.decode(alone)


def test_an_object_needs_room(generator):
    settings = changed(RUN.generation, decoding="constrained")
    held = Generator(generator.network, generator.tokenizer, CPU, settings)
    with pytest.raises(UserError, match="20 tokens do not hold an object with 5 fields"):
        held.grammar(FIELDS, 20)
    assert held.grammar((REFLECTION,), 20) is None
    assert generator.grammar(FIELDS, 20) is None


def giant(words):
    return Case(
        "9",
        "test",
        0,
        "en",
        (words,),
        ("End of the talk.",),
        "",
        dict.fromkeys(FIELDS, "r"),
        False,
        "9",
    )


def test_a_giant_case_keeps_head_and_tail(generator):
    text = case_text(giant("First words. " + "They talked about it again. " * 7500))
    assert len(text) > 200_000
    prompt = build_prompt(
        generator.tokenizer, text, task="fields", version="v1", language="en", max_tokens=900
    )
    written = generator.tokenizer.decode(prompt.ids)
    assert len(prompt.ids) <= 900
    assert prompt.cut_tokens > 0.9 * prompt.text_tokens
    assert "First words." in written
    assert "End of the talk." in written
    assert "[...]" in written
    with pytest.raises(UserError, match="max_length: 50 tokens do not hold the instruction"):
        build_prompt(
            generator.tokenizer, text, task="fields", version="v1", language="en", max_tokens=50
        )


def test_nothing_is_cut_from_a_short_case(generator):
    prompt = build_prompt(
        generator.tokenizer, "A case.", task="fields", version="v1", language="zh", max_tokens=2000
    )
    assert prompt.cut_tokens == 0
    assert "心理咨询" in instruction("A case.", "fields", "v1", "mixed")


def test_map_reduce_reads_every_chunk(generator):
    run = changed(RUN, long_input="map_reduce", max_length=700)
    case = giant("They talked about the exam again. " * 150)
    counting = Failing(generator, set())
    (request,) = build_requests(counting, [case], run, seed=0)
    pieces = chunks(generator.tokenizer, case_text(case), 330)
    assert sum(counting.asked) == len(pieces) > 3
    assert request.case_tokens > 1000
    assert len(request.ids) <= 660


def test_notes_of_an_interrupted_run_are_kept(generator, tmp_path):
    run = changed(RUN, long_input="map_reduce", max_length=700)
    cases = [giant("They talked about the exam again. " * 150)]
    options = {"seed": 0, "progress_path": tmp_path / "notes.jsonl", "fingerprint": "one"}
    whole = list(build_requests(generator, cases, run, **options))
    counting = Failing(generator, set())
    assert list(build_requests(counting, cases, run, **options)) == whole
    assert not counting.asked
    other = options | {"fingerprint": "two"}
    list(build_requests(counting, cases, run, **other))
    assert counting.asked


class Noting(Failing):
    """Fails for some requests, and answers the others with a short note."""

    def answer(self, prompts, *, max_tokens, seed, grammar=None):
        super().answer(prompts, max_tokens=1, seed=seed)
        return [self.tokenizer("A note.")["input_ids"] for _ in prompts]


class Silent(Noting):
    """Answers some requests with blanks, and the others with a short note."""

    def answer(self, prompts, *, max_tokens, seed, grammar=None):
        texts = [" \n" if len(ids) in self.fails else "A note." for ids in prompts]
        return [self.tokenizer(text)["input_ids"] for text in texts]


@pytest.mark.parametrize("kind", [Noting, Silent])
def test_a_part_without_notes_counts_as_cut_off(generator, kind):
    run = changed(RUN, long_input="map_reduce", max_length=700, max_answer_tokens=8)
    case = giant("They talked about the exam again. " * 150)
    parts = _note_requests(generator.tokenizer, case, run)
    lengths = [len(part.ids) for part in parts]
    # The last part is shorter than the others, so that it alone fails.
    assert lengths.count(lengths[-1]) == 1
    (request,) = build_requests(kind(generator, {lengths[-1]}), [case], run, seed=0)
    assert request.cut_tokens == parts[-1].case_tokens
    # Without any note, the case itself is read, head and tail.
    (request,) = build_requests(kind(generator, set(lengths)), [case], run, seed=0)
    assert "[...]" in generator.tokenizer.decode(request.ids)
    assert 0 < request.cut_tokens < request.case_tokens


# A test may change what it copied; the digests are of the original.
UNSEALED = shutil.ignore_patterns("SHA256SUMS")


def test_predictions_of_a_run_and_of_a_file(trained, tmp_path, records, base):
    # Of itself, a model that has learnt so little neither keeps the form nor minds the case.
    held = changed(RUN.generation, decoding="constrained", sample=True)
    change = {"max_answer_tokens": 60, "generation": held.model_dump()}
    model = shutil.copytree(trained / "model", tmp_path / "model", ignore=UNSEALED)
    write_json(model / "summary.json", read_json(model / "summary.json") | change)
    rows = generate(tmp_path, records, base, changed(RUN, **change), model / "adapter")
    cases = [case for case in read_cases(records) if case.split == "test"]
    assert [row["id"] for row in rows] == [case.id for case in cases]
    predictions = read_predictions(tmp_path / "predictions.jsonl", cases)
    assert all(text for prediction in predictions for text in prediction.values())
    assert len({prediction["causes"] for prediction in predictions}) == len(cases)
    assert not list((tmp_path / "work").glob("*.jsonl"))

    raw = tmp_path / "mine.jsonl"
    raw.write_text(
        "".join(
            json.dumps(
                {
                    "id": int(case.id),
                    "case_description": case.case_description,
                    "consultation_process": case.consultation_process,
                    "experience_and_reflection": case.reflection,
                }
            )
            + "\n"
            for case in cases
        )
    )
    arguments = ["predict", "summary", "--model", str(model), "--file", str(raw), "--seed", "3"]
    for more in ([], ["--base-model", str(base)]):
        out = tmp_path / f"out{len(more)}.jsonl"
        assert cli.main([*arguments, "--output", str(out), *more]) == 0
        assert read_predictions(out, cases) == predictions

    answers = CaseSummarizer.from_directory(model, device="cpu").predict(cases)
    expected = {case.id: answer.fields for case, answer in zip(cases, answers, strict=True)}
    for merged in (True, False):
        manifest = tmp_path / "resources" / "manifest.json"
        source = {"kind": "local"}
        write_json(manifest, {"directory": str(base.resolve()), "files": [], "source": source})
        folder = tmp_path / f"merged{merged}"
        folder.mkdir()
        (folder / "model").symlink_to(model)
        example = model_cards.render(
            card.TEMPLATES / card.EXAMPLE,
            run="tiny",
            own=False,
            manifest=None if merged else model_cards.path_from(folder / "example.py", manifest),
        )
        (folder / "inference_example.py").write_text(example)
        for more in ([], [base])[: 1 if merged else 2]:
            lines = run_example(folder, raw, *more)
            assert {row.pop("id"): row for row in map(json.loads, lines)} == expected
        (line,) = run_example(folder)
        assert json.loads(line)["id"] == "1"


def test_cases_that_fail_are_named_on_the_command_line(trained, tmp_path, monkeypatch, capsys):
    answer = Generator.answer

    def fails_if_long(generator, prompts, **options):
        if max(map(len, prompts)) > 1000:
            raise RuntimeError("out of memory")
        return answer(generator, prompts, **options)

    monkeypatch.setattr("affectlab.summary.generator.Generator.answer", fails_if_long)
    raw = tmp_path / "mine.jsonl"
    told = {"a": "Short.", "b": "A long talk. " * 400, "c": "Short too.", "d": "Long talks. " * 400}
    rows = [
        {"id": name, "case_description": [text], "consultation_process": ["B."]}
        for name, text in told.items()
    ]
    raw.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    out = tmp_path / "out.jsonl"
    arguments = ["predict", "summary", "--model", trained / "model", "--file", raw, "--output", out]
    assert cli.main([str(argument) for argument in arguments]) == 1
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("affectlab:")]
    assert said == [
        "affectlab: case b: RuntimeError: out of memory",
        "affectlab: case d: RuntimeError: out of memory",
        "affectlab: 2 cases could not be summarised",
    ]
    assert [json.loads(line)["id"] for line in out.read_text().splitlines()] == list(told)


@pytest.fixture
def asked(monkeypatch):
    """How many prompts each batch had; the process is interrupted at the one numbered *stop*."""
    answer = Generator.answer

    class Asked(list):
        stop = None

    batches = Asked()

    def noted(generator, prompts, **options):
        if len(batches) == batches.stop:
            raise KeyboardInterrupt
        batches.append(len(prompts))
        return answer(generator, prompts, **options)

    monkeypatch.setattr("affectlab.summary.generator.Generator.answer", noted)
    return batches


@pytest.fixture
def sampled_model(trained, tmp_path):
    """A model whose answers depend on the seed, and which takes notes of long cases first."""
    model = shutil.copytree(trained / "model", tmp_path / "model")
    change = {
        "max_length": 700,
        "max_answer_tokens": 20,
        "long_input": "map_reduce",
        "generation": changed(RUN.generation, sample=True, batch_tokens=1000).model_dump(),
    }
    write_json(model / "summary.json", read_json(model / "summary.json") | change)
    return model


def predict(model, out, *more, cases=6):
    """`affectlab predict summary` on short cases and one that does not fit into a prompt."""
    told = [f"Case {number}. " + "They talked. " * number for number in range(cases)]
    told.append("They talked about the exam again. " * 80)
    raw = out.with_name("mine.jsonl")
    rows = [
        {"id": number, "case_description": [text], "consultation_process": ["B."]}
        for number, text in enumerate(told)
    ]
    raw.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    arguments = ["predict", "summary", "--model", model, "--file", raw, "--output", out, *more]
    return cli.main([str(argument) for argument in arguments])


def interrupt(asked, batches, *arguments, **options):
    """Predict, interrupted after *batches*; what was asked before is forgotten."""
    asked.clear()
    asked.stop = batches
    assert predict(*arguments, **options) == cli.INTERRUPTED_STATUS
    asked.stop = None
    asked.clear()


@pytest.mark.parametrize("store", ["notes.jsonl", "answers.jsonl"])
def test_an_interrupted_prediction_goes_on_to_the_same_bytes(
    sampled_model, tmp_path, asked, store, monkeypatch, capsys
):
    # Handlers that pytest puts there would take what a user is to see.
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    whole, out = tmp_path / "whole.jsonl", tmp_path / "out.jsonl"
    assert predict(sampled_model, whole) == 0
    total = list(asked)
    assert len(total) > 4
    assert "going on" not in capsys.readouterr().err
    done = 1 if store == "notes.jsonl" else len(total) - 2
    interrupt(asked, done, sampled_model, out)
    kept = tmp_path / "out.jsonl.unfinished"
    assert not out.exists()
    # Killed in the midst of a line, and of a Chinese character.
    with (kept / store).open("ab") as stream:
        stream.write('{"id": "心'.encode()[:-1])
    assert predict(sampled_model, out) == 0
    assert asked == total[done:]
    assert out.read_bytes() == whole.read_bytes()
    assert not kept.exists()
    (said,) = [line for line in capsys.readouterr().err.splitlines() if "going on" in line]
    notes = total[0] if store == "notes.jsonl" else sum(total) - 7
    answers = sum(total[:done]) - notes
    assert said.endswith(
        f"affectlab: going on with what is kept in {kept}: {answers} of 7 cases answered, "
        f"{notes} parts of long ones noted"
    )


def other_seed(model, base):
    return ["--seed", "1"], {}


def other_weights(model, base):
    stored = load_file(model / "model.safetensors")
    name = "model.embed_tokens.weight"
    save_file(stored | {name: stored[name].flip(0)}, model / "model.safetensors", {"format": "pt"})
    return [], {}


def other_base(model, base):
    return ["--base-model", str(base)], {}


def other_cases(model, base):
    return [], {"cases": 5}


def other_settings(model, base):
    write_json(model / "summary.json", read_json(model / "summary.json") | {"max_answer_tokens": 9})
    return [], {}


@pytest.mark.parametrize(
    "change", [other_seed, other_weights, other_base, other_cases, other_settings]
)
def test_answers_of_another_command_are_not_mixed_in(sampled_model, tmp_path, base, asked, change):
    out, other = tmp_path / "out.jsonl", tmp_path / "other.jsonl"
    interrupt(asked, 4, sampled_model, out)
    more, options = change(sampled_model, base)
    assert predict(sampled_model, other, *more, **options) == 0
    total = list(asked)
    asked.clear()
    assert predict(sampled_model, out, *more, **options) == 0
    assert asked == total
    assert out.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("weights", ["model/adapter/adapter_model", "base/model"])
def test_another_adapter_or_base_starts_anew(sampled_model, tmp_path, base, asked, weights):
    more = ["--base-model", str(shutil.copytree(base, tmp_path / "base"))]
    # A model of before, which does not say on which weights it was trained.
    settings = read_json(sampled_model / "summary.json")
    del settings["base_weights"]
    write_json(sampled_model / "summary.json", settings)
    interrupt(asked, 4, sampled_model, tmp_path / "out.jsonl", *more)
    path = tmp_path / f"{weights}.safetensors"
    save_file({name: -value for name, value in load_file(path).items()}, path, {"format": "pt"})
    assert predict(sampled_model, tmp_path / "out.jsonl", *more) == 0
    # Seven cases and the notes of one.
    assert sum(asked) > 7


def test_what_is_kept_of_a_prediction_is_not_written_over_files_of_others(
    sampled_model, tmp_path, asked
):
    kept = tmp_path / "out.jsonl.unfinished"
    kept.write_text("mine")
    assert predict(sampled_model, tmp_path / "out.jsonl") == cli.USER_ERROR_STATUS
    assert not asked
    assert kept.read_text() == "mine"
    kept.unlink()
    kept.mkdir()
    (kept / "mine").write_text("mine")
    assert predict(sampled_model, tmp_path / "out.jsonl") == 0
    assert [path.name for path in kept.iterdir()] == ["mine"]


def test_a_wrong_target_or_device_is_named_before_any_work(trained, tmp_path, base):
    with pytest.raises(UserError, match="device nowhere: cannot be used here"):
        CaseSummarizer.from_directory(trained / "model", device="nowhere")
    with pytest.raises(UserError, match="absent: no such folder, expected a language model"):
        CaseSummarizer.from_directory(trained / "model", base_model=tmp_path / "absent")
    summarizer = CaseSummarizer.from_directory(trained / "model", device="cpu")
    with pytest.raises(UserError, match="is a folder, expected a file"):
        summarizer.summarise_to(tmp_path, [])


def test_cases_are_not_overwritten_by_their_summaries(trained, tmp_path, capsys):
    raw = tmp_path / "cases.jsonl"
    raw.write_text(json.dumps({"id": 1, "case_description": ["a"], "consultation_process": ["b"]}))
    stored = raw.read_bytes()
    out = tmp_path / "." / "cases.jsonl"
    arguments = ["predict", "summary", "--model", trained / "model", "--file", raw, "--output", out]
    assert cli.main([str(argument) for argument in arguments]) == cli.USER_ERROR_STATUS
    assert "holds the cases" in capsys.readouterr().err
    assert raw.read_bytes() == stored


def test_an_id_stands_for_one_case(trained, tmp_path):
    """Two files may number their cases alike."""
    raw = tmp_path / "cases.jsonl"
    raw.write_text(json.dumps({"id": 1, "case_description": ["a"], "consultation_process": ["b"]}))
    summarizer = CaseSummarizer.from_directory(trained / "model", device="cpu")
    cases = read_requests(raw, summarizer.fields)
    with pytest.raises(UserError, match="the id '1' occurs more than once"):
        summarizer.predict(cases * 2)


def test_an_adapter_is_put_on_no_other_weights_of_the_same_shape(trained, tmp_path, base, caplog):
    write_tiny_qwen2(tmp_path / "other", seed=1)
    message = "other: its weights are not those of tiny that the adapter in .*model was trained on"
    with pytest.raises(UserError, match=message):
        CaseSummarizer.from_directory(trained / "model", base_model=tmp_path / "other")
    CaseSummarizer.from_directory(trained / "model", base_model=base)
    assert "does not say which weights" not in caplog.text
    # A model of before, which does not say.
    model = shutil.copytree(trained / "model", tmp_path / "model")
    settings = read_json(model / "summary.json")
    del settings["base_weights"]
    write_json(model / "summary.json", settings)
    CaseSummarizer.from_directory(model, base_model=base)
    assert "model: does not say which weights its adapter was trained on" in caplog.text


def test_not_a_model_of_this_experiment(base):
    with pytest.raises(UserError, match=r"no summary\.json here"):
        CaseSummarizer.from_directory(Path(base))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"prompt": None, "merge": None},
            "not of a model of the summary experiment: no prompt, merge",
        ),
        ({"base_model": None}, "not of a model of the summary experiment: no base_model"),
        ({"generation": {}}, f"no {', '.join(f'generation.{n}' for n in Generation.model_fields)}"),
        ({"generation": []}, "no generation.sample, generation.temperature"),
        ({"task": "poems"}, "task: expected one of fields, reflection, own, found 'poems'"),
        ({"max_length": "long"}, "expected settings of a run of the summary experiment"),
    ],
    ids=["two missing", "no base", "nothing", "a list", "another task", "a word for a number"],
)
def test_corrupt_settings_of_a_model_are_one_message(trained, tmp_path, changes, problem):
    settings = read_json(trained / "model" / "summary.json") | changes
    kept = {name: value for name, value in settings.items() if value is not None}
    write_json(tmp_path / "summary.json", kept)
    with pytest.raises(DataError, match=r"summary\.json: ") as caught:
        CaseSummarizer.from_directory(tmp_path)
    assert problem in str(caught.value)


def test_settings_that_are_no_object_are_one_message(tmp_path):
    write_json(tmp_path / "summary.json", ["fields"])
    with pytest.raises(
        DataError, match="not of a model of the summary experiment: no task, base_model"
    ):
        CaseSummarizer.from_directory(tmp_path)


def test_the_summarizer_is_a_predictor_like_the_others(trained, tmp_path):
    raw = tmp_path / "cases.jsonl"
    rows = [
        {"id": number, "case_description": [text], "consultation_process": ["b"]}
        for number, text in enumerate(("Short.", "A talk."))
    ]
    raw.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    model = trained / "model"
    fields = CaseSummarizer.from_directory(model, device="cpu").fields
    check_predictor(CaseSummarizer, model, read_requests(raw, fields))


def test_texts_and_tables_are_cases_too(trained, tmp_path, capsys):
    base = ["predict", "summary", "--model", str(trained / "model"), "--device", "cpu"]
    assert cli.main([*base, "They talked about sleep.", " "]) == 1
    printed = capsys.readouterr()
    (line,) = map(json.loads, printed.out.splitlines())
    assert line["id"] == 1
    assert "affectlab: text 2: is empty" in printed.err
    table, out = tmp_path / "cases.csv", tmp_path / "out.csv"
    table.write_text("number,story\nx,They talked.\n7,They talked about sleep.\n")
    options = ["--file", table, "--column", "story", "--id", "number", "--format", "csv"]
    assert cli.main([*base, *map(str, options), "--output", str(out)]) == 0
    with out.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row.pop("id") for row in rows] == ["x", "7"]
    assert rows[1] == {
        **{name: text for name, text in line.items() if name != "id"},
        "input": "",
        "error": "",
    }
    assert not list(tmp_path.glob("*.unfinished"))


def test_fields_and_prompt_of_ones_own_are_stored_with_the_model(tmp_path, base):
    (tmp_path / "raw").mkdir()
    with (tmp_path / "raw" / "mine.jsonl").open("w") as file:
        for number in range(12):
            text = f"Hoy el bus {number} llegó tarde y la tienda estaba cerrada."
            row = {"id": number, "text": text, "causa": f"bus {number}", "efecto": "cerrada"}
            file.write(json.dumps(row) + "\n")
    records = tmp_path / "r.jsonl"
    entry = {"layout": "cases", "fields": ["causa", "efecto"], "language": "es"}
    outputs = Converted(records, tmp_path / "q.jsonl", tmp_path / "d.json")
    convert(tmp_path / "raw", outputs, entry, split=Split())
    run = changed(
        RUN,
        prompt_template="Lee: {text} Escribe {field}.",
        merge=False,
        training=changed(RUN.training, epochs=1),
        generation=Generation(decoding="constrained", precision="fp32"),
    )
    train(tmp_path, records, base, run)
    summarizer = CaseSummarizer.from_directory(tmp_path / "model", base_model=base, device="cpu")
    assert summarizer.fields == ("causa", "efecto")
    cases = [case for case in read_cases(records) if case.split == "test"]
    encoded = feeding.encode(cases, networks.load_tokenizer(base), run)
    requests = build_requests(summarizer._generator, cases, summarizer._run, seed=0)
    for request, example, case in zip(requests, encoded, cases, strict=True):
        assert request.ids == example.ids[: example.prompt_length]
        shown = summarizer._generator.tokenizer.decode(request.ids)
        assert f"Lee: {case.text} Escribe causa, efecto." in shown
    answers = summarizer.predict(cases)
    assert all(answer.valid and all(answer.fields.values()) for answer in answers)
    assert {tuple(answer.fields) for answer in answers} == {("causa", "efecto")}
