import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch

from affectlab.emotion.convert import read_raw
from affectlab.emotion.data import CLASSES
from affectlab.samples import emotion, models


def lines_of(folder, name="train.txt"):
    return [line.rsplit(";", 1) for line in (folder / name).read_text().splitlines()]


def test_labels_are_those_of_the_corpus():
    assert emotion.LABELS == CLASSES
    for table in (emotion.SHARES, emotion.FEELINGS, emotion.CUES, emotion.CONFUSED_WITH):
        assert tuple(table) == CLASSES
    assert sum(emotion.SHARES.values()) == pytest.approx(1.0)


def test_sizes_and_classes(tmp_path):
    planted = emotion.write_corpus(tmp_path, train=300, validation=50, test=70)
    assert (planted.train, planted.validation, planted.test) == (300, 50, 70)
    for name, size in (("train.txt", 300), ("val.txt", 50), ("test.txt", 70)):
        lines = lines_of(tmp_path, name)
        assert len(lines) == size
        assert {label for _, label in lines} == set(CLASSES)
    counts = Counter(label for _, label in lines_of(tmp_path))
    assert counts["joy"] > counts["sadness"] > counts["anger"] > counts["surprise"]


def test_what_is_planted_is_there_and_nothing_else(tmp_path):
    planted = emotion.write_corpus(
        tmp_path,
        seed=5,
        train=400,
        conflicting=7,
        duplicates=4,
        variants=3,
        test_overlap=6,
        validation_overlap=2,
    )
    train = lines_of(tmp_path)
    labels = {}
    for text, label in train:
        labels.setdefault(text, []).append(label)
    assert sum(len(set(found)) == 2 for found in labels.values()) == 7
    assert sum(len(found) == 2 and len(set(found)) == 1 for found in labels.values()) == 4
    assert len(labels) == planted.unique_train_texts == 400 - 7 - 4
    assert len({" ".join(text.lower().split()) for text in labels}) == 400 - 7 - 4 - 3
    assert sum(text in labels for text, _ in lines_of(tmp_path, "test.txt")) == 6
    assert sum(text in labels for text, _ in lines_of(tmp_path, "val.txt")) == 2


def test_share_of_wrong_labels(tmp_path):
    planted = emotion.write_corpus(tmp_path, train=211, test=100, validation=100)
    splits = Counter(name.split("-")[0] for name in planted.wrong_label_ids)
    assert splits == {"train": 8, "validation": 4, "test": 4}  # 4 % of 200, 100 and 95
    ids = {record.id for record in read_raw(tmp_path)}
    assert set(planted.wrong_label_ids) <= ids
    clean = emotion.write_corpus(tmp_path / "clean", wrong_label_share=0.0)
    assert clean.wrong_label_ids == ()


def test_a_wrong_label_contradicts_its_sentence(tmp_path):
    """A sentence that names one feeling only, of one class only, gives its class away."""
    planted = emotion.write_corpus(
        tmp_path, seed=2, train=700, conflicting=0, duplicates=150, test=160, test_overlap=100
    )
    owners = {}
    for label, words in emotion.FEELINGS.items():
        for word in words.split():
            owners.setdefault(word, set()).add(label)
    right = wrong = 0
    for record in read_raw(tmp_path):
        named = [owners[word] for word in record.text.lower().split() if word in owners]
        if len(named) == 1 and len(named[0]) == 1:
            if record.id in planted.wrong_label_ids:
                wrong += 1
                assert named[0] != {record.label}
            else:
                right += 1
                assert named[0] == {record.label}
    assert wrong >= 10
    assert right > 300


@pytest.mark.parametrize("layout", emotion.LAYOUTS)
def test_same_seed_same_bytes(tmp_path, layout):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        emotion.write_corpus(tmp_path / name, seed=seed, train=100, layout=layout)
    files = sorted(p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*.*"))
    assert len(files) == 3
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
        assert (tmp_path / "a" / file).read_bytes() != (tmp_path / "c" / file).read_bytes()


def test_gzip_carries_no_time(tmp_path):
    emotion.write_corpus(tmp_path, layout="jsonl_gz")
    assert (tmp_path / "data" / "train.jsonl.gz").read_bytes()[4:8] == bytes(4)


def test_same_bytes_in_another_process(tmp_path):
    """The order of sets and dicts of strings changes from process to process."""
    code = (
        "import sys; from affectlab.samples import emotion, models;"
        "emotion.write_corpus(sys.argv[1] + '/corpus', seed=3);"
        "models.write_tiny_bert(sys.argv[1] + '/bert', 3);"
        "models.write_tiny_qwen3(sys.argv[1] + '/qwen', 3)"
    )
    library = Path(emotion.__file__).parents[2]
    for number in (1, 2):
        subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / str(number))],
            cwd=library,
            check=True,
            capture_output=True,
            env={"PYTHONHASHSEED": str(number), "PATH": "", "OMP_NUM_THREADS": "1"},
        )
    files = sorted(p.relative_to(tmp_path / "1") for p in (tmp_path / "1").rglob("*.*"))
    assert len(files) >= 10
    for file in files:
        assert (tmp_path / "1" / file).read_bytes() == (tmp_path / "2" / file).read_bytes(), file


@pytest.mark.parametrize(
    "arguments",
    [
        {"train": 16},
        {"test": 8},
        {"validation": 7, "validation_overlap": 2},
        {"train": 40, "test_overlap": 60, "test": 80},
    ],
)
def test_too_small(tmp_path, arguments):
    with pytest.raises(ValueError, match="too small"):
        emotion.write_corpus(tmp_path, **arguments)
    assert list(tmp_path.iterdir()) == []


def test_unknown_layout(tmp_path):
    with pytest.raises(ValueError, match="semicolon, parquet"):
        emotion.write_corpus(tmp_path, layout="xml")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    models.write_tiny_qwen3(folder / "qwen", 1)
    models.write_tiny_bert(folder / "bert", 1)
    return folder


def test_tiny_qwen3_is_a_qwen3(tiny):
    from transformers import AutoModelForCausalLM, AutoTokenizer, Qwen3ForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny / "qwen")
    tokenizer = AutoTokenizer.from_pretrained(tiny / "qwen")
    assert type(model) is Qwen3ForCausalLM
    assert type(tokenizer).__name__ == "Qwen2Tokenizer"  # the class of the real Qwen3's
    assert model.num_parameters() == pytest.approx(175_000, rel=0.05)
    assert model.config.vocab_size == len(tokenizer)
    names = {name.rsplit(".", 2)[-2] for name, _ in model.named_parameters()}
    assert {"q_proj", "k_proj", "v_proj", "o_proj", "q_norm", "k_norm"} <= names
    assert {"gate_proj", "up_proj", "down_proj"} <= names


def test_tiny_qwen3_tokenizer(tiny):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny / "qwen")
    text = "I feel Glück 来访者 \U0001f600  twice"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert len(tokenizer("i feel gloomy")["input_ids"]) <= 5  # words, not bytes
    assert (tokenizer.pad_token, tokenizer.eos_token) == ("<|endoftext|>", "<|im_end|>")
    chat = tokenizer.apply_chat_template(
        [{"role": "user", "content": "hello"}], tokenize=False, add_generation_prompt=True
    )
    assert chat == "<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n"
    ids = tokenizer(chat)["input_ids"]
    assert ids[0] == tokenizer.convert_tokens_to_ids("<|im_start|>")
    assert ids.count(tokenizer.eos_token_id) == 1


def test_tiny_bert_is_a_bert(tiny):
    from transformers import AutoModel, AutoTokenizer, BertModel

    model = AutoModel.from_pretrained(tiny / "bert")
    tokenizer = AutoTokenizer.from_pretrained(tiny / "bert")
    assert type(model) is BertModel
    assert model.num_parameters() == pytest.approx(90_000, rel=0.05)
    assert model.config.vocab_size == len(tokenizer)
    ids = tokenizer("I feel GLOOMY, mißmutig")["input_ids"]
    tokens = tokenizer.convert_ids_to_tokens(ids)
    assert tokens[:4] == ["[CLS]", "i", "feel", "gloomy"]
    assert tokens[-1] == "[SEP]"


@pytest.mark.parametrize("name", ["qwen", "bert"])
def test_tiny_models_classify_and_learn(tiny, name):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny / name)
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_pretrained(tiny / name, num_labels=2)
    batch = tokenizer(["i feel glad", "i feel gloomy today"], padding=True, return_tensors="pt")
    batch["labels"] = torch.tensor([0, 1])
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    first = model(**batch).loss.item()
    for _ in range(10):
        loss = model(**batch).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert model(**batch).loss.item() < first / 2


@pytest.mark.parametrize(
    ("write", "name"), [(models.write_tiny_qwen3, "qwen"), (models.write_tiny_bert, "bert")]
)
def test_seed_of_tiny_models(tiny, tmp_path, write, name):
    state = torch.random.get_rng_state()
    write(tmp_path / "same", 1)
    write(tmp_path / "other", 2)
    assert torch.equal(torch.random.get_rng_state(), state)
    weights = "model.safetensors"
    original = (tiny / name / weights).read_bytes()
    assert (tmp_path / "same" / weights).read_bytes() == original
    assert (tmp_path / "other" / weights).read_bytes() != original
    config = json.loads((tiny / name / "config.json").read_text())
    assert config["model_type"] == {"qwen": "qwen3", "bert": "bert"}[name]


def test_importing_stays_light():
    heavy = "{'pyarrow', 'numpy', 'torch', 'transformers', 'tokenizers'}"
    code = (
        "import sys, affectlab.samples.emotion, affectlab.samples.models;"
        f"print(sorted({heavy} & set(sys.modules)))"
    )
    library = Path(emotion.__file__).parents[2]
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=library, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"
