"""`affectlab referee` on numbers, and on several classes for a text."""

import csv
import subprocess
import sys

import pytest
from conftest import environment
from own_targets import rated_rows, write_table


def judged(folder, *arguments):
    command = [sys.executable, "-m", "affectlab", "referee", "emotion", "--data", "rated.csv"]
    done = subprocess.run(
        [*command, "--predictions", "theirs.csv", *arguments],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return " ".join(done.stdout.split())


def test_a_claim_on_numbers_is_judged(project):
    folder = project.directory("referee_numbers")
    rows = [[f"r{n}", *row] for n, row in enumerate(rated_rows(120))]
    write_table(folder / "rated.csv", ["id", "post", "author", "valence", "arousal"], rows)
    with (folder / "theirs.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["id", "valence", "arousal"])
        table.writerows([row[0], row[3] + (n % 2), row[4]] for n, row in enumerate(rows[:50]))
    page = judged(folder, "--claim", "ccc_valence=0.6")
    assert "On 50 texts the concordance of valence is 0.9" in page
    assert "The claim is 0.600, −0.3" in page
    assert "these items show more than is claimed" in page
    assert "mean absolute error" in page
    assert "Somebody else predicted these texts." in page


@pytest.mark.parametrize("form", ["names", "probabilities"])
def test_label_sets_are_judged(project, form):
    folder = project.directory(f"referee_label_sets_{form}")
    texts = [row[0] for row in rated_rows(120)]
    classes = ("anger", "fear", "joy")
    sets = [[name for k, name in enumerate(classes) if n % 7 >> k & 1] for n in range(120)]
    rows = [
        [f"r{n}", text, "; ".join(names)]
        for n, (text, names) in enumerate(zip(texts, sets, strict=True))
    ]
    write_table(folder / "rated.csv", ["id", "post", "emotion"], rows)
    with (folder / "theirs.csv").open("w", newline="") as file:
        table = csv.writer(file)
        if form == "names":
            table.writerow(["id", "prediction"])
            table.writerows([row[0], row[2]] for row in rows[:50])
        else:
            table.writerow(["id", *classes])
            for row, names in list(zip(rows, sets, strict=True))[:50]:
                table.writerow([row[0], *(0.9 if name in names else 0.2 for name in classes)])
    page = judged(folder)
    assert "On 50 texts the macro-F1 is 1.000" in page
    assert "exact match 1.000" in page
    assert ("There are no probabilities" in page) == (form == "names")
