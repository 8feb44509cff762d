"""How long the cases are in a run's tokens, and what lies beyond its maximum length."""

from __future__ import annotations

from pathlib import Path

from affectlab.files.io import round_significant, write_json
from affectlab.summary.answers import target_text
from affectlab.summary.audit import quantiles
from affectlab.summary.cases import read_cases, with_fold
from affectlab.summary.prompts import case_prompt
from affectlab.summary.settings import SummaryRun


def write_lengths(
    *,
    records_path: Path,
    model_directory: Path,
    run: SummaryRun,
    lengths_path: Path,
    figure_stem: Path,
) -> None:
    """Count every case in a run's tokens, and what does not fit into its maximum length.

    Args:
        records_path: the tidy table of cases.
        model_directory: holds the tokenizer.
        run: as configured.
        lengths_path: gets quantiles of prompt and reference lengths and the share that does
            not fit.
        figure_stem: path of the histogram without an ending.
    """
    from affectlab.evaluation import plots
    from affectlab.models.text_models import encode_texts
    from affectlab.summary.model import load_tokenizer

    tokenizer = load_tokenizer(model_directory)
    cases = with_fold(read_cases(records_path), run.fold)
    prompts = [
        case_prompt(
            tokenizer,
            case,
            version=run.prompt,
            max_tokens=run.prompt_tokens,
            template=run.prompt_template,
        )
        for case in cases
    ]
    # What the prompt would be if nothing were cut.
    whole = [len(prompt.ids) + prompt.cut_tokens for prompt in prompts]
    answers = [
        len(encode_texts(tokenizer, target_text(case.references))["input_ids"]) for case in cases
    ]
    with plots.figures_of(f"{run.model} on {run.data}, n = {len(cases):,}"):
        plots.histogram(
            figure_stem,
            whole,
            xlabel="tokens of the prompt with the whole case",
            ylabel="cases",
            limit=("room for the prompt", run.prompt_tokens),
        )
    cut = sum(prompt.cut_tokens for prompt in prompts)
    found = {
        "model": run.model,
        "max_length": run.max_length,
        "long_input": run.long_input,
        "prompt_tokens": quantiles(whole),
        "answer_tokens": quantiles(answers),
        "cases": len(cases),
        "cases_cut": sum(prompt.cut_tokens > 0 for prompt in prompts),
        "share_cut": round_significant(cut / sum(prompt.text_tokens for prompt in prompts)),
        "answers_cut": sum(length >= run.max_answer_tokens for length in answers),
    }
    write_json(lengths_path, found, sealed=True)
