"""A tiny question to each model at the start: who answers is known before an incident needs them. Nothing waits for it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from remediation.planners.llm_calls import Problem, Prompt
from remediation.planners.llm_consulting import Consultant, Try
from remediation.planners.llm_prompts import BEGIN, END
from sentinel.errors import TransientError
from sentinel.logs import get_logger

PROBE_FILE = "llm-probes.json"
"""File below `state_dir` with the outcome, which the API shows in its health: it may be another process."""

PROBE = Prompt(
    version="probe-v1",
    system=(
        "This only tests the connection. Propose no step: answer with the summary 'ok', an empty list of steps, and one "
        "claim 'ok' that cites the fact ev-probe."
    ),
    data=f'{BEGIN}\n{{"first_suspect": "probe", "targets": [], "facts": [{{"id": "ev-probe", "source": "probe", "text": "ok"}}]}}\n{END}',
)
"""The question. It holds nothing of anybody's telemetry."""

_LOG = get_logger("llm")


def start_probes(consultant: Consultant, file: Path, now: Callable[[], float]) -> threading.Thread:
    """Ask in the background, at most one provider time-out long, and write the outcome to log, metrics and `file`.

    `now` is wall time in seconds. A provider that does not answer is only told of: runbooks plan in any case.
    """

    def run() -> None:
        tries = consultant.probe(PROBE)
        for one in tries:
            tell = _LOG.info if answered(one) else _LOG.warning
            tell(
                "model_probed", provider=one.provider, model=one.model, outcome=one.line, seconds=round(one.seconds, 3)
            )
        write_outcome(file, tries, now())

    thread = threading.Thread(target=run, name="llm-probes", daemon=True)
    thread.start()
    return thread


def answered(one: Try) -> bool:
    """Whether the model gave an answer of the right shape."""
    return one.problem in (None, Problem.NO_PLAN)


def write_outcome(file: Path, tries: Sequence[Try], now: float) -> None:
    """Write down who answered; a reader sees the old file or the new one."""
    rows = [{"provider": one.provider, "model": one.model, "ok": answered(one), "line": one.line} for one in tries]
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_suffix(".new")
    new.write_text(json.dumps({"at": now, "models": rows}), encoding="utf-8")
    new.replace(file)


def check_outcome(file: Path) -> str:
    """Who answered at the start; raises `TransientError` when nobody did: then runbooks plan alone."""
    if not file.exists():
        return "not asked yet"
    models = json.loads(file.read_text(encoding="utf-8"))["models"]
    text = "; ".join(str(one["line"]) for one in models)
    if models and not any(one["ok"] for one in models):
        raise TransientError(f"no model answers, runbooks plan alone: {text}")
    return text
