"""The nested probe against scikit-learn's GridSearchCV in the same folds.

    python benchmarks/audio_probe.py [--items 384] [--features 512] [--classes 8] [--folds 5]
    python benchmarks/audio_probe.py --store EMBEDDINGS --records RECORDS --task 8emo --layer layer3

The first runs on generated features, the second on the frame means of a layer that the audio
experiment stored (``embeddings.npz``) with the labels of its ``records.jsonl``.
Both choose C by inner folds and predict each outer fold; the share of equal predictions is
printed next to the times. Where they differ, try `--tolerance 1e-7`: scikit-learn's default may
leave fits unfinished that are as good as even.
"""

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from affectlab.audio import probe
from affectlab.audio.settings import Probe
from affectlab.audio.store import read_embeddings
from affectlab.audio.targets import ClassTarget
from affectlab.files.io import read_jsonl

STRENGTHS = [float(f"{c:.4g}") for c in np.logspace(-4, 2, 13)]


def speech(items, features, classes, subjects=24, seed=0):
    """Clips with a class and a voice each."""
    generator = np.random.default_rng(seed)
    labels, groups = np.arange(items) % classes, np.arange(items) * subjects // items
    centres = generator.standard_normal((classes, features))
    voices = generator.standard_normal((subjects, features))
    noise = generator.standard_normal((items, features))
    return 0.25 * centres[labels] + voices[groups] + noise, labels, groups


def stored(store, records, task, layer):
    """The same of an embedding that the workflow made."""
    embeddings = read_embeddings(store)
    known = {record["id"]: record for record in read_jsonl(records)}
    names = [known[clip]["labels"][task] for clip in embeddings.ids]
    view = embeddings.vectors[:, embeddings.layers.index(layer), 0].astype(np.float64)
    groups = np.unique(embeddings.subjects, return_inverse=True)[1]
    return view, np.unique(names, return_inverse=True)[1], groups


def peer(view, labels, groups, folds, seed, tolerance):
    """Out-of-fold predictions by scikit-learn alone."""
    predicted = np.zeros(len(labels), dtype=int)
    outer = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    model = make_pipeline(
        StandardScaler(),
        LogisticRegression(class_weight="balanced", tol=tolerance, max_iter=10_000),
    )
    for train, test in outer.split(view, labels, groups):
        search = GridSearchCV(
            model,
            {"logisticregression__C": STRENGTHS},
            scoring="balanced_accuracy",
            cv=StratifiedGroupKFold(folds, shuffle=True, random_state=seed),
        )
        search.fit(view[train], labels[train], groups=groups[train])
        predicted[test] = search.predict(view[test])
    return predicted


def main():
    """Run both on the same data and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=384)
    parser.add_argument("--features", type=int, default=512)
    parser.add_argument("--classes", type=int, default=8)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument(
        "--tolerance", type=float, default=1e-4, help="of scikit-learn's solver; its own default"
    )
    parser.add_argument("--store", type=Path)
    parser.add_argument("--records", type=Path)
    parser.add_argument("--task", default="8emo")
    parser.add_argument("--layer", default="layer3")
    parser.add_argument("--alone", action="store_true", help="leave scikit-learn out")
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    if options.store:
        view, labels, groups = stored(options.store, options.records, options.task, options.layer)
    else:
        view, labels, groups = speech(options.items, options.features, options.classes)
    classes = labels.max() + 1
    settings = Probe(
        combine="choose",
        strengths=STRENGTHS,
        outer_folds=options.folds,
        inner_folds=options.folds,
        repeats=1,
        permutations=0,
    )
    started = time.perf_counter()
    ours = probe.nested({"all": view}, ClassTarget(labels, classes), groups, settings, seed=0)
    own_seconds = time.perf_counter() - started
    print(f"affectlab     {own_seconds:7.2f} s")
    if options.alone:
        return
    started = time.perf_counter()
    theirs = peer(view, labels, groups, options.folds, 0, options.tolerance)
    peer_seconds = time.perf_counter() - started
    same = (ours.outputs.argmax(axis=1) == theirs).mean()
    print(f"GridSearchCV  {peer_seconds:7.2f} s")
    print(f"ratio {peer_seconds / own_seconds:.1f}, same prediction for {same:.1%} of the items")


if __name__ == "__main__":
    main()
