"""Asks the models in their order, until one gives a plan that the validator accepts or the one deadline has passed.

LangChain's own fallbacks do this without a common deadline, breakers, a budget or a record of each try; hence this loop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from remediation.catalogue import Proposal
from remediation.evidence import Analysis, FailedAttempt
from remediation.planners.llm_answers import proposal_of
from remediation.planners.llm_breakers import Breaker
from remediation.planners.llm_budgets import Budget
from remediation.planners.llm_calls import NOT_ASKED, UNBILLED, Model, Problem, Prompt, Reply, Usage
from remediation.planners.llm_prompts import make_prompt
from remediation.planners.llm_settings import LlmSettings, ProviderSettings
from sentinel.errors import RefusedError
from sentinel.metrics import GEN_AI_COST, GEN_AI_SECONDS, GEN_AI_SKIPPED, GEN_AI_TOKENS, GEN_AI_UP

LEAST_SECONDS = 0.05
"""With less than this left of the deadline nobody is asked any more."""

STEP = "plan"
"""The step of the graph that asks, as metrics call it."""

PROBES = "probe"
"""What metrics and budget call the questions at the start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """One provider's turn. `seconds` is how long it took; `usage` is what it told, or what was assumed in its place."""

    provider: str
    model: str
    problem: Problem | None
    usage: Usage
    detail: str = ""
    seconds: float = 0.0
    dollars: float = 0.0

    @property
    def line(self) -> str:
        """Readable: `groq rate_limited (429)`, `openai answered`."""
        told = f" ({self.detail})" if self.detail else ""
        return f"{self.provider} {self.problem.value if self.problem else 'answered'}{told}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Consultation:
    """What came of asking: a proposal, or none and the reasons in `tries`, one for each provider that had its turn."""

    prompt_version: str
    proposal: Proposal | None
    tries: tuple[Try, ...]

    @property
    def reason(self) -> str:
        """Each provider's part in one line."""
        return "; ".join(one.line for one in self.tries)


@dataclass(frozen=True, slots=True)
class Seat:
    """A provider in the chain: its prices, its client and its breaker."""

    settings: ProviderSettings
    model: Model
    breaker: Breaker

    def dollars(self, usage: Usage) -> float:
        """What the tokens cost."""
        asked = usage.input_tokens * self.settings.input_price
        return (asked + usage.output_tokens * self.settings.output_price) / 1e6


class Consultant:
    """Holds the chain. `clock` is monotonic seconds. Safe for several threads."""

    def __init__(
        self, settings: LlmSettings, seats: Sequence[Seat], budget: Budget, clock: Callable[[], float]
    ) -> None:
        self._settings = settings
        self._seats = tuple(seats)
        self._budget = budget
        self._clock = clock

    def consult(self, analysis: Analysis, failed: Sequence[FailedAttempt]) -> Consultation:
        """Ask until one answers well; takes at most `deadline` seconds."""
        ends = self._clock() + self._settings.deadline
        prompt = make_prompt(analysis, failed, self._settings)
        tries: list[Try] = []
        proposal = None
        for seat in self._seats:
            one, proposal = self._turn(seat, prompt, analysis, failed, ends)
            tries.append(one)
            if proposal is not None or one.problem is Problem.NO_PLAN:
                break
        return Consultation(prompt_version=prompt.version, proposal=proposal, tries=tuple(tries))

    def probe(self, prompt: Prompt) -> tuple[Try, ...]:
        """Ask every model the same small question, all at once; takes at most one provider's time-out."""
        with ThreadPoolExecutor(max(len(self._seats), 1), thread_name_prefix="probe") as pool:
            return tuple(pool.map(lambda seat: self._probe(seat, prompt), self._seats))

    def _probe(self, seat: Seat, prompt: Prompt) -> Try:
        begun, most = self._clock(), Usage(input_tokens=prompt.tokens, output_tokens=self._settings.max_output_tokens)
        if over := self._budget.reserve(PROBES, most.total, seat.dollars(most)):
            return _counted(seat, Problem.OVER_BUDGET, over, step=PROBES)
        reply = seat.model.ask(prompt, self._settings.provider_timeout)
        used = reply.usage or (Usage() if reply.problem in UNBILLED else most)
        self._budget.settle(PROBES, used.total - most.total, seat.dollars(used) - seat.dollars(most))
        now = self._clock()
        if reply.answer is not None:
            seat.breaker.succeeded()
        else:
            seat.breaker.failed(now)
        problem = None if reply.answer is not None else reply.problem or Problem.INVALID
        return _counted(seat, problem, reply.detail, now - begun, used, step=PROBES)

    def _turn(
        self, seat: Seat, prompt: Prompt, analysis: Analysis, failed: Sequence[FailedAttempt], ends: float
    ) -> tuple[Try, Proposal | None]:
        incident_id, begun = analysis.incident.id, self._clock()
        most = Usage(input_tokens=prompt.tokens, output_tokens=self._settings.max_output_tokens)
        problem, detail = self._hindrance(seat, incident_id, most, ends - begun)
        if problem is not None:
            return _counted(seat, problem, detail), None
        reply = seat.model.ask(prompt, min(ends - begun, self._settings.provider_timeout))
        used = reply.usage or (Usage() if reply.problem in UNBILLED else most)
        self._budget.settle(incident_id, used.total - most.total, seat.dollars(used) - seat.dollars(most))
        problem, detail, proposal = _judge(reply, seat, prompt, analysis, failed)
        now = self._clock()
        if problem in (None, Problem.NO_PLAN):
            seat.breaker.succeeded()
        else:
            seat.breaker.failed(now)
        return _counted(seat, problem, detail, now - begun, used), proposal

    def _hindrance(self, seat: Seat, incident_id: str, most: Usage, left: float) -> tuple[Problem | None, str]:
        """Why the provider is not even asked."""
        if left < LEAST_SECONDS:
            return Problem.NO_TIME, f"the {self._settings.deadline:g} s of the chain are over"
        if over := self._budget.reserve(incident_id, most.total, seat.dollars(most)):
            return Problem.OVER_BUDGET, over
        if not seat.breaker.admits(self._clock()):
            self._budget.settle(incident_id, -most.total, -seat.dollars(most))
            return Problem.BREAKER_OPEN, "it failed too often lately"
        return None, ""


def _judge(
    reply: Reply, seat: Seat, prompt: Prompt, analysis: Analysis, failed: Sequence[FailedAttempt]
) -> tuple[Problem | None, str, Proposal | None]:
    """Whether the reply is a plan that may be proposed."""
    if reply.answer is None:
        return reply.problem or Problem.INVALID, reply.detail, None
    if not reply.answer.steps:
        return Problem.NO_PLAN, "it proposes nothing", None
    planner = f"llm:{seat.model.provider}/{seat.model.model}:{prompt.version}"
    try:
        return None, "", proposal_of(reply.answer, planner, analysis, failed)
    except RefusedError as error:
        return Problem.REFUSED, str(error)[:300], None


def _counted(
    seat: Seat,
    problem: Problem | None,
    detail: str,
    seconds: float = 0.0,
    used: Usage | None = None,
    step: str = STEP,
) -> Try:
    """The try, counted in the metrics."""
    usage = used or Usage()
    labels = (seat.model.provider, seat.model.model, step)
    GEN_AI_TOKENS.labels(*labels, "input").inc(usage.input_tokens)
    GEN_AI_TOKENS.labels(*labels, "output").inc(usage.output_tokens)
    GEN_AI_COST.labels(*labels).inc(seat.dollars(usage))
    if problem is not None and problem in NOT_ASKED:
        GEN_AI_SKIPPED.labels(*labels, problem.value).inc()
    else:
        GEN_AI_UP.labels(*labels[:2]).set(problem in (None, Problem.NO_PLAN))
        GEN_AI_SECONDS.labels(*labels, problem.value if problem else "").observe(seconds)
    return Try(
        provider=seat.model.provider,
        model=seat.model.model,
        problem=problem,
        detail=detail,
        seconds=seconds,
        usage=usage,
        dollars=seat.dollars(usage),
    )
