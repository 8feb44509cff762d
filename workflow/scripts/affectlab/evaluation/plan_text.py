"""Plans in words: a sentence for report and card, a table for the command line, JSON data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from affectlab.evaluation.planned_numbers import Mean
from affectlab.evaluation.planning import (
    CORRELATION,
    LEVEL,
    POWER,
    Outlook,
    Plan,
    Plannable,
    Question,
    make_plan,
)

LEAST_SPREAD = 0.02
"""Standard deviation of values from 0 to 1 below which no interval is planned from them."""

CLEARLY_GROUPED = 1.1
"""Design effect from which the correlation within groups matters to a reader."""


def plan_record(parts: Sequence[Plannable]) -> list[dict[str, Any]]:
    """The plan of the main score of each part, as `audit.json` holds it."""
    found = []
    for part in parts:
        if part.questions:
            plan = make_plan(part.questions[0])
            found.append(as_record(part, plan) | {"sentence": sentence(part, plan)})
    return found


def plan_sentences(audit: Mapping[str, Any]) -> list[str]:
    """The sentences of the plan in an `audit.json`; none where nothing was planned."""
    return [one["sentence"] for one in audit.get("plan", ())]


def sentence(part: Plannable, plan: Plan) -> str:
    """What the items can show, for a reader of report or card."""
    dependent, independent = plan.outlooks[0], plan.outlooks[-1]
    task = f" (task {part.task})" if part.task else ""
    if is_unplannable(plan.question):
        return (
            f"With {_items(part, plan)}{task}, {plan.question.title} is nearly the same for all"
            f" {part.what} ({plan.question.why}), so no interval can be planned."
        )
    # An error that a group shares does not lower a concordance within it.
    widest = max(plan.outlooks, key=lambda one: one.width)
    found = (
        f"With {_items(part, plan)}{task}, {plan.question.title} of {plan.expected:.2f} has a"
        f" {LEVEL:.0%} interval of about ±{widest.width / 2:.2f}; {_difference(widest)}."
    ).replace("95%", "95 %")
    if dependent.design_effect / independent.design_effect < CLEARLY_GROUPED:
        return found
    if widest is not dependent:
        return (
            f"{found} This assumes independent {part.what}. If all {part.what} of one group have"
            f" the same error, the interval is ±{dependent.width / 2:.2f}, and"
            f" {_difference(dependent)}."
        )
    return (
        f"{found} This assumes that all {part.what} of one group have the same outcome. For"
        f" independent {part.what} the interval is ±{independent.width / 2:.2f}, and"
        f" {_difference(independent)}."
    )


def is_unplannable(question: Question) -> bool:
    """Whether the values of the items hardly differ, so that nothing follows for other runs."""
    return isinstance(question.score, Mean) and question.score.spread < LEAST_SPREAD


def table(part: Plannable, plans: Sequence[Plan]) -> str:
    """The text of ``affectlab plan`` for one part."""
    where = f", {part.where}" if part.where else ""
    task = f", task {part.task}" if part.task else ""
    lines = [
        f"{_items(part, plans[0])}{where}{task}",
        "",
        f"{'score':<20}{'expected':>9}  {'interval':<16}{'width':>7}{'difference':>12}"
        f"{'needed':>10}  within groups",
    ]
    lines += [_row(plan, one) for plan in plans for one in plan.outlooks]
    lines += ["", *(f"{plan.question.name}: {_assumptions(plan)}" for plan in plans)]
    lines += [
        f"interval: {LEVEL:.0%}, expected limits".replace("%", " %"),
        f"difference: the smallest one between two runs that is found with power {POWER:g}",
    ]
    lines += [
        f"{plan.question.name}: nearly the same for all {part.what}, so these limits mean nothing"
        for plan in plans
        if is_unplannable(plan.question)
    ]
    if plans[0].width is not None:
        lines.append(f"needed: {part.what} for an interval that is {plans[0].width:g} wide")
    if len(plans[0].outlooks) > 1:
        lines.append(
            f"within groups: correlation of the outcomes of {part.what} of one group; design effect"
            f" {plans[0].outlooks[0].design_effect:.2f} at 1"
        )
    return "\n".join(lines)


def as_record(part: Plannable, plan: Plan) -> dict[str, Any]:
    """A plan as JSON data."""
    return {
        "what": part.what,
        "where": part.where,
        **({"task": part.task} if part.task else {}),
        "score": plan.question.name,
        "n": plan.items,
        "groups": plan.groups,
        "level": LEVEL,
        "power": POWER,
        "expected": plan.expected,
        "why": _why(plan),
        "agree": plan.agree,
        "wanted_width": plan.width,
        "outlooks": [
            {
                "within_groups": one.within,
                "design_effect": one.design_effect,
                "interval": [one.low, one.high],
                "width": one.width,
                "smallest_difference": one.smallest_difference,
                "needed_items": one.needed,
            }
            for one in plan.outlooks
        ],
    }


def _row(plan: Plan, one: Outlook) -> str:
    difference = "none" if one.smallest_difference is None else f"{one.smallest_difference:.3f}"
    needed = "-" if one.needed is None else f"{one.needed:,}"
    limits = f"{one.low:.3f} to {one.high:.3f}"
    within = f"{one.within:g}" if plan.groups < plan.items else "-"
    return (
        f"{plan.question.name:<20}{plan.expected:>9.3f}  {limits:<16}{one.width:>7.3f}"
        f"{difference:>12}{needed:>10}  {within}"
    )


def _assumptions(plan: Plan) -> str:
    """Where the assumed numbers come from."""
    assumed = plan.question.score.agreement(plan.expected, CORRELATION)
    agree = f"{plan.question.agreement} {plan.agree:.2f}"
    if plan.agree == assumed:
        agree += f" (errors with a correlation of {CORRELATION:g})"
    return f"expected {plan.expected:.3f} ({_why(plan)}); {agree}"


def _why(plan: Plan) -> str:
    return plan.question.why if plan.expected == plan.question.expected else "as given"


def _items(part: Plannable, plan: Plan) -> str:
    among = "" if plan.groups == plan.items else f" in {plan.groups:,} groups"
    return f"{plan.items:,} {part.what}{among}"


def _difference(one: Outlook) -> str:
    if one.smallest_difference is None:
        return "no difference between two runs can be shown"
    return f"differences between two runs below {one.smallest_difference:.2f} cannot be shown"
