"""`affectlab predict` with the model of another experiment."""

import json

import pytest

from affectlab import cli

MODELS = {
    "emotion": [("tfidf.json", {}), ("config.json", {"id2label": {}})],
    "face": [("config.json", {"method": "compact", "test_time": "plain"})],
    "entity": [("gbert.json", {})],
    "audio": [("probe.json", {})],
    "summary": [("summary.json", {})],
}
PAIRS = [
    (chosen, owner, file, content)
    for owner, files in MODELS.items()
    for file, content in files
    for chosen in MODELS
    if chosen != owner
]


@pytest.mark.parametrize(("chosen", "owner", "file", "content"), PAIRS)
def test_the_experiment_of_the_model_is_reported(tmp_path, capsys, chosen, owner, file, content):
    (tmp_path / file).write_text(json.dumps(content))
    assert cli.main(["predict", chosen, "--model", str(tmp_path), "x"]) == 2
    found = capsys.readouterr().err
    assert f"a model of the experiment {owner}, not of {chosen}; write affectlab predict" in found


def test_a_corrupt_configuration_is_left_to_the_experiment(tmp_path, capsys):
    (tmp_path / "config.json").write_text("{")
    assert cli.main(["predict", "face", "--model", str(tmp_path), "x"]) == 2
    assert "a model of the experiment" not in capsys.readouterr().err
