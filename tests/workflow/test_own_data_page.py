"""Every command of docs/own-data.md, as a reader would type it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from own_texts import rows_of, write_csv

CHECKOUT = Path(__file__).parents[2]
PAGE = CHECKOUT / "docs" / "own-data.md"
TINY = {"model": "bert-tiny", "max_length": 32, "training": {"epochs": 1}}


def commands():
    """The lines behind a prompt, in their order."""
    return re.findall(r"^\$ (.+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


def made_small(overlay):
    """The overlay that `init` printed, with a tiny network in place of the proposed one."""
    content = yaml.safe_load(overlay.read_text(encoding="utf-8"))
    assert content["emotion"]["selected"] == ["tweets_tfidf", "tweets_e5"]
    content["emotion"]["runs"]["tweets_e5"] |= TINY
    content["emotion"]["bootstrap"] = {"resamples": 100}
    content["datasets"]["tweets"]["split"] = {"folds": 3}
    source = {"kind": "sample", "generator": "bert"}
    content["models"] = {
        "bert-tiny": {
            "kind": "text-encoder",
            "title": "A tiny BERT with random weights",
            "licence": "MIT",
            "parameters": 120_000,
            "size_mb": 1,
            "sources": [source],
        }
    }
    overlay.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def carried_out(command, folder):
    """Carry a command out in *folder*; what it printed."""
    # The programs of this environment, wherever they are installed.
    line = command.replace(
        "snakemake ", f'"{sys.executable}" -m snakemake -s "{CHECKOUT}/Snakefile" '
    )
    line = re.sub(r"^affectlab ", f'"{sys.executable}" -m affectlab.cli ', line)
    env = os.environ | {"HF_HUB_OFFLINE": "1", "COLUMNS": "100"}
    found = subprocess.run(
        line, shell=True, cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, f"{command}\n{found.stdout}\n{found.stderr}"
    return found.stdout


@pytest.mark.parametrize("small", [True, pytest.param(False, marks=pytest.mark.nightly)])
def test_the_commands_of_the_page_work_in_their_order(tmp_path, small):
    rows = [
        {"nr": f"t{n}", "tweet": row["tweet"], "emo": row["emo"], "author": row["who"]}
        for n, row in enumerate(rows_of(60 if small else 306))
    ]
    write_csv(tmp_path, rows, "tweets.csv")
    first, *others = commands()
    assert first.startswith("affectlab init emotion tweets.csv")
    carried_out(first, tmp_path)
    if small:
        made_small(tmp_path / "mine.yaml")
    printed = [carried_out(command, tmp_path) for command in others]
    assert (tmp_path / "results" / "report" / "index.html").is_file()
    answers = [text for text in printed if '"label"' in text]
    assert len(answers) == 1
    assert (tmp_path / "tweets_records" / "dataset_dict.json").is_file()
