"""What a language model is to the planner: one question, one typed answer or one named problem. No client library."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from remediation.planners.llm_answers import PlanAnswer


class Problem(StrEnum):
    """Why a model gave no plan; a closed list, used in metrics, audit and the table of docs/remediation.md."""

    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    REJECTED = "rejected"
    TRUNCATED = "truncated"
    INVALID = "invalid"
    REFUSED = "refused"
    NO_PLAN = "no_plan"
    BREAKER_OPEN = "breaker_open"
    OVER_BUDGET = "over_budget"
    NO_TIME = "no_time"


UNBILLED = frozenset({Problem.UNREACHABLE, Problem.RATE_LIMITED, Problem.SERVER_ERROR, Problem.REJECTED})
"""Problems after which the provider did no work that it could bill."""

NOT_ASKED = frozenset({Problem.BREAKER_OPEN, Problem.OVER_BUDGET, Problem.NO_TIME})
"""Problems for which the provider was not even called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One question. `system` is written by us alone; `data` holds everything that came from outside, as one JSON block."""

    version: str
    system: str
    data: str

    @property
    def tokens(self) -> int:
        """A cautious estimate of its length in tokens: one for each three bytes."""
        return (len(self.system.encode()) + len(self.data.encode())) // 3 + 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens that a provider counted."""

    input_tokens: int = 0
    output_tokens: int = 0

    @property
    def total(self) -> int:
        """Both together."""
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came back: a whole, well-formed `answer`, or a `problem` with its `detail`. `usage` None: not told."""

    answer: PlanAnswer | None = None
    problem: Problem | None = None
    detail: str = ""
    usage: Usage | None = None


class Model(Protocol):
    """One model of one provider. Safe for several threads."""

    provider: str
    """`groq`, `openai` or `anthropic`: `gen_ai.provider.name`."""
    model: str
    """The model's name: `gen_ai.request.model`."""

    def ask(self, prompt: Prompt, seconds: float) -> Reply:
        """Ask once, without a retry, and come back within `seconds`. Failures are replies; nothing is raised."""
