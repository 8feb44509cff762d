"""Model directories with pickled weights are refused, with a command that converts them."""

import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModel, BertConfig, BertModel

from affectlab.assets.checkpoints import check_checkpoint, refuse_pickled
from affectlab.audio.encoders.checkpoints import load_part
from affectlab.errors import UserError
from affectlab.models import text_models


class Trap:
    """What a pickled file may do when it is opened carelessly."""

    def __reduce__(self):
        return (Path.touch, (Path("opened"),))


def write_model(directory, weights):
    BertConfig(
        vocab_size=20,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=8,
        max_position_embeddings=8,
    ).save_pretrained(directory)
    (directory / "vocab.txt").write_text("[PAD]\n[UNK]\n")
    for name, content in weights.items():
        torch.save(content, directory / name)


def network(directory):
    torch.manual_seed(0)
    return BertModel(BertConfig.from_pretrained(directory))


def load(directory):
    return text_models.load_pretrained(
        directory,
        AutoModel,
        purpose="an encoder",
        settings={},
        dtype=torch.float32,
        device=torch.device("cpu"),
        whole=True,
    )


def test_pickled_weights_are_never_opened(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_model(tmp_path, {"pytorch_model.bin": Trap()})
    for read in (load, check_checkpoint, lambda path: load_part(torch.nn.Linear(1, 1), path, [""])):
        with pytest.raises(UserError, match=r"its weights are pickled \(pytorch_model\.bin\)"):
            read(tmp_path)
    assert not (tmp_path / "opened").exists()


@pytest.mark.parametrize("shards", [1, 2])
def test_the_command_of_the_message_converts_them(tmp_path, monkeypatch, shards):
    write_model(tmp_path, {})
    state = network(tmp_path).state_dict()
    names = sorted(state)
    # Beside them lies what is no weights, as after most trainings.
    torch.save({"lr": 1.0}, tmp_path / "training_args.bin")
    for number in range(shards):
        part = {name: state[name] for name in names[number::shards]}
        ending = f"-0000{number + 1}-of-00002.bin" if shards > 1 else ".bin"
        torch.save(part, tmp_path / f"pytorch_model{ending}")
    with pytest.raises(UserError, match="convert them in that folder") as caught:
        load(tmp_path)
    [code] = re.findall(r'python -c "(.*)"$', str(caught.value))
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    loaded = load(tmp_path).state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in state.items())
    check_checkpoint(tmp_path)


def test_a_pickled_adapter_becomes_an_adapter(tmp_path, monkeypatch):
    torch.save({"a": torch.ones(2)}, tmp_path / "adapter_model.bin")
    with pytest.raises(UserError, match=r"adapter_model\.bin") as caught:
        refuse_pickled(tmp_path)
    monkeypatch.chdir(tmp_path)
    exec(re.findall(r'python -c "(.*)"$', str(caught.value))[0], {})
    assert load_file(tmp_path / "adapter_model.safetensors")["a"].tolist() == [1.0, 1.0]
