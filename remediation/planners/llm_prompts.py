"""Makes the question for a model: instructions from a versioned file, and the evidence as one delimited JSON block. Pure.

The instructions depend on the file, the action catalogue and the targets' backends alone. Everything that came from outside is in the block, where
it cannot end the block: the JSON is plain ASCII, with `<`, `>` and `&` escaped.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

from remediation.action_types import ActionType, IntegerParam, Param
from remediation.catalogue import CATALOGUE, describe
from remediation.evidence import Analysis, EvidenceItem, FailedAttempt
from remediation.planners.llm_calls import Prompt
from remediation.planners.llm_settings import LlmSettings
from sentinel.canonical import digest

CURRENT = "plan-v1"
"""The prompt that is asked; a change of the words is a new file, so that old records keep their meaning."""

BEGIN, END = "<incident-data>", "</incident-data>"
"""Around the block of data."""

_FOLDER = Path(__file__).parent / "prompts"
_FIRST = ("suspect", "alert", "change", "outcome", "similar", "target", "missing", "history")


def make_prompt(analysis: Analysis, failed: Sequence[FailedAttempt], settings: LlmSettings) -> Prompt:
    """The question about one incident; the same evidence gives the same bytes."""
    backends = frozenset(target.backend for target in analysis.targets.values())
    document = {
        "incident": {"kind": analysis.incident.kind.value, "title": _cut(analysis.incident.title, settings)},
        "first_suspect": analysis.suspect,
        "targets": sorted(analysis.targets),
        "facts": [_fact(item, settings) for item in _chosen(analysis.items, settings.max_facts)],
        "failed": [_failed(attempt, settings) for attempt in failed],
    }
    return Prompt(
        version=version_of(CURRENT, backends),
        system=instructions(CURRENT, backends),
        data=f"{BEGIN}\n{_escaped(document)}\n{END}",
    )


def instructions(name: str, backends: frozenset[str] = frozenset()) -> str:
    """The instructions of one version with the action catalogue in them, as far as it can act on these backends."""
    known = [entry for entry in CATALOGUE.values() if entry.backend == "" or entry.backend in backends]
    actions = "\n".join(_action(entry) for entry in known if entry.plannable)
    return Template((_FOLDER / f"{name}.md").read_text(encoding="utf-8")).substitute(catalogue=actions)


def version_of(name: str, backends: frozenset[str] = frozenset()) -> str:
    """`plan-v1@` and 8 hexadecimal digits of the instructions, so that an edited file shows."""
    return f"{name}@{digest(instructions(name, backends))[:8]}"


def read_data(data: str) -> Any:
    """The document inside the block, for doubles and replay; raises ValueError when it is not exactly one block."""
    if not (data.startswith(f"{BEGIN}\n") and data.endswith(f"\n{END}") and data.count(BEGIN) == data.count(END) == 1):
        raise ValueError("the prompt does not hold exactly one block of data")
    return json.loads(data.removeprefix(BEGIN).removesuffix(END))


def _chosen(items: Sequence[EvidenceItem], limit: int) -> list[EvidenceItem]:
    order = {source: index for index, source in enumerate(_FIRST)}
    return sorted(items, key=lambda item: order.get(item.source, len(order)))[:limit]


def _fact(item: EvidenceItem, settings: LlmSettings) -> dict[str, str]:
    return {
        "id": item.id,
        "source": item.source,
        "service": _cut(item.service, settings),
        "text": _cut(item.text, settings),
    }


def _failed(attempt: FailedAttempt, settings: LlmSettings) -> dict[str, Any]:
    said = {"rejected_because": _cut(attempt.objection, settings)} if attempt.objection else {}
    return {"steps": [describe(action) for action in attempt.actions], "result": attempt.result, **said}


def _cut(text: str, settings: LlmSettings) -> str:
    return text if len(text) <= settings.max_fact_chars else f"{text[: settings.max_fact_chars]}…"


def _escaped(document: Mapping[str, Any]) -> str:
    text = json.dumps(document, ensure_ascii=True, sort_keys=True, indent=1)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _action(entry: ActionType) -> str:
    params = ", ".join(f"{name} ({_bounds(param)})" for name, param in entry.params.items()) or "no parameters"
    return f"- `{entry.name}`: {entry.text}; {params}"


def _bounds(param: Param) -> str:
    if isinstance(param, IntegerParam):
        return f"whole number from {param.low} to {param.high}"
    return f"text that matches {param.pattern}"
