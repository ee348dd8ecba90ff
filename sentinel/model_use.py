"""What language models cost an incident: tokens, dollars and seconds, added up from its timeline. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from sentinel.runs import TimelineRow

ASKED = "model_asked"
"""Kind of the timeline rows that tell of a consultation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelUse:
    """One model in one step of one run. `seconds` is wall time spent waiting; `failed` of the `asked` gave no plan.

    Tokens and dollars are what the provider told, or the worst case where it did not.
    """

    run_id: str
    provider: str
    model: str
    step: str
    asked: int = 0
    failed: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    dollars: float = 0.0
    seconds: float = 0.0


def models_used(timeline: Iterable[TimelineRow]) -> tuple[ModelUse, ...]:
    """One entry for each run, provider, model and step, in the order in which they were first asked."""
    found: dict[tuple[str, str, str, str], ModelUse] = {}
    for row in timeline:
        if row.kind != ASKED:
            continue
        for one in row.details.get("tries", ()):
            step = str(row.details.get("step", "plan"))
            key = (row.run_id, str(one["gen_ai.provider.name"]), str(one["gen_ai.request.model"]), step)
            was = found.get(key) or ModelUse(run_id=key[0], provider=key[1], model=key[2], step=step)
            found[key] = replace(
                was,
                asked=was.asked + 1,
                failed=was.failed + bool(one["error.type"]),
                input_tokens=was.input_tokens + int(one["gen_ai.usage.input_tokens"]),
                output_tokens=was.output_tokens + int(one["gen_ai.usage.output_tokens"]),
                dollars=round(was.dollars + float(one["dollars"]), 6),
                seconds=round(was.seconds + float(one["seconds"]), 3),
            )
    return tuple(found.values())
