"""The report: one page that holds everything it shows, and one table.

It is made from files alone, so it can be built again, or elsewhere, from a results folder.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from affectlab.core.io import read_text, write_text
from affectlab.report import results as found

HERE = Path(__file__).parent

FIGURES = {
    "confusion_matrix": "Confusion matrix of the test split: rows are true classes, columns"
    " predicted ones; each cell has the share of its row and the count.",
    "reliability": "Reliability diagram of the test split: accuracy against stated confidence,"
    " before and after temperature scaling, with the number of items in each bin below.",
    "training_curves": "Training curves: loss on train and validation, validation scores, learning"
    " rate, over the optimiser's steps.",
}


def build(
    *,
    results: Path | str,
    reference_results: Sequence[Mapping[str, Any]],
    sample_data: Sequence[str],
    page_path: Path | str,
    table_path: Path | str,
) -> None:
    """Write the page and the table of a results folder.

    Args:
        results: the folder; ``config.yaml`` in it says what to look for.
        reference_results: the published numbers, as the registry has them.
        sample_data: names of the data sets that are generated, so that their scores are not
            taken for results.
        page_path: where index.html goes.
        table_path: where results.csv goes.

    Raises:
        DataError: a record of a selected run is missing or broken.
    """
    folder = Path(results)
    config_text = read_text(folder / "config.yaml")
    config = yaml.safe_load(config_text)
    wing = found.read_wing(folder / "emotion", config["emotion"])
    runs = [_run_view(name, seeds) for name, seeds in wing.runs.items()]
    published = found.published_for("emotion", runs, reference_results)
    write_text(
        table_path,
        found.results_csv(found.results_rows("emotion", wing.comparison, published)),
    )
    write_text(
        page_path,
        _render(
            wing=wing,
            runs=runs,
            summaries=_with_difference(wing.comparison),
            published=published,
            sentences=found.headline(wing, published, sample_data),
            warnings=found.below_baseline(wing.comparison),
            exports=_exports(wing),
            provenance=_provenance(wing),
            config_text=config_text,
        ),
    )


def _render(**values: Any) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(HERE),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["score"] = lambda value: "–" if value is None else f"{value:.4f}"
    environment.filters["signed"] = lambda value: f"{value:+.4f}".replace("-", "−")
    environment.filters["limits"] = lambda pair: f"{pair[0]:.4f} to {pair[1]:.4f}"
    environment.filters["signed_limits"] = lambda pair: f"{pair[0]:+.4f} to {pair[1]:+.4f}".replace(
        "-", "−"
    )
    environment.filters["words"] = lambda name: str(name).replace("_", " ")
    environment.filters["chance"] = lambda p: "< 0.0001" if p < 1e-4 else f"{p:.4f}"
    environment.filters["plain"] = _plain
    template = environment.get_template("page.html.j2")
    return template.render(css=read_text(HERE / "page.css"), **values)


def _run_view(name: str, seeds: Sequence[found.SeedResult]) -> dict[str, Any]:
    """One run as the page shows it: figures and tables of its first seed, means over all."""
    first = seeds[0]
    figures = []
    for figure, description in FIGURES.items():
        path = first.folder / "figures" / f"{figure}.svg"
        if path.exists():
            data = base64.b64encode(path.read_bytes()).decode("ascii")
            figures.append(
                {
                    "name": figure.replace("_", " "),
                    "uri": f"data:image/svg+xml;base64,{data}",
                    "description": description,
                }
            )
    return {
        "run": name,
        "data": first.metrics["data"]["name"],
        "values": found.split_means(seeds),
        "sizes": found.split_sizes(first.metrics),
        "record": first.metrics,
        "figures": figures,
    }


def _with_difference(comparison: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The runs' summaries, each with its paired difference from the baseline run."""
    baseline = comparison["baseline"]
    rows = []
    for run in comparison["runs"]:
        difference = None
        for pair in comparison["pairs"]:
            first, second = pair["first"]["run"], pair["second"]["run"]
            entry = pair["differences"]["accuracy"]
            if (first, second) == (run["run"], baseline):
                difference = {"value": entry["value"], "ci": entry["ci"]}
            elif (second, first) == (run["run"], baseline):
                low, high = entry["ci"]
                difference = {"value": -entry["value"], "ci": [-high, -low]}
        rows.append({**run, "difference": difference})
    return rows


def _exports(wing: found.WingResults) -> list[dict[str, Any]]:
    """Exported models, one row a format; nested numbers become ``outer inner`` columns."""
    tables = []
    for name, seeds in wing.runs.items():
        for seed in seeds:
            if seed.export is None:
                continue
            rows = {kind: _flat(entry) for kind, entry in seed.export["formats"].items()}
            columns = list(dict.fromkeys(column for row in rows.values() for column in row))
            tables.append(
                {
                    "run": name,
                    "seed": seed.metrics["seed"],
                    "columns": columns,
                    "rows": rows,
                    "facts": _flat({k: v for k, v in seed.export.items() if k != "formats"}),
                }
            )
    return tables


def _provenance(wing: found.WingResults) -> list[dict[str, Any]]:
    """For every run and seed: what it was made from, by which code, where, at what cost."""
    rows = []
    for name, seeds in wing.runs.items():
        for seed in seeds:
            evaluation = seed.run_record["evaluation"]
            rows.append(
                {
                    "run": name,
                    "seed": seed.metrics["seed"],
                    "data": seed.metrics["data"],
                    "model": seed.metrics["model"],
                    "task_version": seed.metrics["task_version"],
                    "evaluation": evaluation,
                    "training": _flat(seed.run_record["training"]),
                }
            )
    return rows


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, keys joined by a space; lists as text."""
    flat: dict[str, Any] = {}
    for key, item in value.items():
        name = f"{prefix}{key}".replace("_", " ")
        if isinstance(item, Mapping):
            flat |= _flat(item, f"{name} ")
        elif isinstance(item, list | tuple):
            flat[name] = ", ".join(_plain(part) for part in item)
        else:
            flat[name] = item
    return flat


def _plain(value: Any) -> str:
    """A value of a record for a reader: numbers short, absent ones as a dash."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.1f}" if abs(value) >= 100 else f"{value:.4g}"
    return str(value)
