"""A sixth experiment, from raw data to the report, and how many shared places it touches.

Its own files are those of the folder `sixth`, in the layout of the checkout. The page
docs/adding-an-experiment.md walks through them and through `SHARED`.
"""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SIXTH = Path(__file__).parent / "sixth"
PAGE = Path(__file__).parents[2] / "docs" / "adding-an-experiment.md"
MOST_SHARED = 8

END = ""
SHARED = {
    "workflow/scripts/affectlab/experiments.py": [
        (
            ")\n\nEXPERIMENTS: ",
            """\
    Experiment(
        name="tone",
        title="Tone of short texts",
        question="Which tone was a text labelled with?",
        settings="affectlab.tone.settings",
        commands="affectlab.tone.cli:add_commands",
        report_section="affectlab.tone.report:section",
        prediction_schema="predictions_tone",
        generators={"tone": "affectlab.tone.sample:write_corpus"},
    ),
""",
        )
    ],
    "Snakefile": [('include: "rules/report.smk"\n', 'include: "rules/tone.smk"\n')],
    "config/datasets.yaml": [
        (
            END,
            """
tone_sample:
  title: A generated corpus of friendly and hostile texts
  version: "1"
  licence: MIT
  terms: none; every text is made by a seeded generator
  citation: affectlab.tone.sample
  access: open
  layout: tone
  sources:
    - {kind: sample, generator: tone}
""",
        )
    ],
    "config/config.yaml": [
        (
            END,
            """
tone:
  selected: [bayes]
  bootstrap: {resamples: 100}
  runs:
    bayes: {}
""",
        )
    ],
}
"""Path of each shared place -> what is added to it, each text before another one or at the end."""


def files(folder):
    """Path in *folder* -> content of each file."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def extended(project, tmp_path_factory):
    """The checkout with the sixth experiment, and the files that it had before."""
    root = tmp_path_factory.mktemp("sixth") / "project"
    shutil.copytree(project.root, root)
    before = files(root)
    shutil.copytree(SIXTH, root, dirs_exist_ok=True)
    for name, additions in SHARED.items():
        content = (root / name).read_text(encoding="utf-8")
        for following, text in additions:
            assert following in content, name
            place = content.index(following) if following else len(content)
            content = content[:place] + text + content[place:]
        (root / name).write_text(content, encoding="utf-8")
    return type(project)(root.parent), before


def test_a_sixth_experiment_touches_few_shared_places(extended):
    sixth, before = extended
    after = files(sixth.root)
    assert before.keys() <= after.keys()
    touched = {name for name in before if after[name] != before[name]}
    assert touched == set(SHARED)
    assert len(touched) <= MOST_SHARED


def test_it_runs_from_raw_data_to_the_report(extended, monkeypatch):
    sixth, _ = extended
    # An installed package would win over the folder of a script.
    monkeypatch.setenv("PYTHONPATH", str(sixth.root / "workflow" / "scripts"))
    directory = sixth.directory("tone")
    selected = ("--config", "experiments=[tone]")
    result = sixth.snakemake(*selected, directory=directory, overlays=())
    assert result.status == 0, result.output
    comparison = json.loads((directory / "results" / "tone" / "comparison.json").read_text())
    [run] = comparison["runs"]
    accuracy = run["metrics"]["accuracy"]
    assert 0.7 < accuracy["mean"] < 1.0
    assert not accuracy["below_baseline"]
    page = (directory / "results" / "report" / "index.html").read_text()
    assert '<section id="tone" class="experiment">\n<h2><small>Tone of short texts</small>' in page
    assert "The data set tone_sample is generated." in page
    table = (directory / "results" / "tables" / "results.csv").read_text()
    assert len(re.findall(r"^ours,tone,bayes,", table, re.MULTILINE)) == 9
    model = directory / "results" / "tone" / "bayes" / "seed0" / "model"
    command = [sys.executable, "-m", "affectlab", "predict", "tone", "--model", str(model)]
    done = subprocess.run([*command, "thanks again"], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["label"] == "friendly"
    with sixth.edited("tone/report.py"):
        edited = sixth.snakemake("-n", *selected, directory=directory, overlays=())
    assert edited.rules == {"report_build"}


def test_the_page_names_every_shared_place():
    text = PAGE.read_text(encoding="utf-8")
    assert [name for name in SHARED if f"`{name}`" not in text] == []
