"""Writes what language models were asked for an incident, what it cost, and why runbooks had to plan: timeline and audit."""

from __future__ import annotations

from collections.abc import Callable

from remediation.evidence import Analysis
from remediation.journal import About, Entry, Journal
from remediation.planners.llm_consulting import STEP, Consultation
from sentinel.model_use import ASKED
from sentinel.stores.sql.stores import SqlStores


class ConsultationLog:
    """Hears of each consultation. A repeated question after a crash has cost again, and is told again.

    `now` is wall time in seconds.
    """

    def __init__(self, stores: SqlStores, journal: Journal, now: Callable[[], float]) -> None:
        self._stores = stores
        self._journal = journal
        self._now = now

    def __call__(self, analysis: Analysis, asked: Consultation) -> None:
        """One row on the incident's timeline and in the audit, and one decision row."""
        incident = analysis.incident
        runs = self._stores.runs.find(incident_id=incident.id)
        about = About(
            run_id=runs[-1].id if runs else "",
            incident_id=incident.id,
            attempt=runs[-1].attempt if runs else 1,
            trace_id=incident.trace_id,
            service=analysis.suspect,
        )
        verdict = "proposed" if asked.proposal else "runbooks"
        text = asked.reason if asked.proposal else f"runbooks plan: {asked.reason or 'no provider is configured'}"
        details = {
            "step": STEP,
            "prompt_version": asked.prompt_version,
            "tokens": sum(one.usage.total for one in asked.tries),
            "dollars": round(sum(one.dollars for one in asked.tries), 6),
            "seconds": round(sum(one.seconds for one in asked.tries), 3),
            "tries": [
                {
                    "gen_ai.provider.name": one.provider,
                    "gen_ai.request.model": one.model,
                    "gen_ai.usage.input_tokens": one.usage.input_tokens,
                    "gen_ai.usage.output_tokens": one.usage.output_tokens,
                    "error.type": one.problem.value if one.problem else "",
                    "seconds": round(one.seconds, 3),
                    "dollars": round(one.dollars, 6),
                }
                for one in asked.tries
            ],
        }
        at = self._now()
        self._journal.tell(about, Entry(kind=ASKED, text=text, key=str(at), actor="worker", details=details))
        self._journal.decide(about, "llm", f"{incident.id}:{at}", verdict, text, incident.updated_at)
