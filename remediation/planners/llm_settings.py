"""Configuration of the language models that may propose plans. As shipped none is asked."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from sentinel.config import Section

Positive = Annotated[float, Field(gt=0)]
"""A number above zero."""


class ProviderSettings(Section):
    """One provider of the chain. Prices are in US dollars for a million tokens; set what you pay."""

    kind: Literal["groq", "openai", "anthropic"]
    """Which HTTP API it speaks. No default."""
    model: str = Field(min_length=1)
    """Name of the model, as the provider calls it. No default: each has its own price."""
    key_env: str = Field(min_length=1)
    """Environment variable that holds the API key. A provider whose variable is not set is left out. The key itself
    never stands in a file."""
    base_url: str = ""
    """Base URL. Default empty: the provider's own. Groq's and Anthropic's is the bare host, OpenAI's ends in `/v1`."""
    input_price: float = Field(default=0.0, ge=0)
    """Dollars for a million tokens that are sent. Default 0: the cost budget then does not see this provider."""
    output_price: float = Field(default=0.0, ge=0)
    """Dollars for a million tokens that are answered. Default 0."""
    temperature: float | None = Field(default=0.0, ge=0, le=2)
    """Randomness of the answer. Default 0, the same question has about the same answer; `null` leaves it out, for models
    that refuse it."""


class LlmBreakerSettings(Section):
    """When a provider that fails is left alone; one breaker for each provider and process."""

    failures: int = Field(default=3, ge=1)
    """Failures in a row that open the breaker. Default 3."""
    cooldown: Positive = 60.0
    """Seconds until one call may try again. Default 60."""


class LlmBudgetSettings(Section):
    """What the models may use. A call whose worst case would go over a limit is not made; runbooks plan instead."""

    incident_tokens: int = Field(default=60_000, ge=0)
    """Tokens, sent and answered, for one incident and day. Default 60,000: about ten questions."""
    incident_dollars: float = Field(default=0.25, ge=0)
    """Dollars for one incident and day. Default 0.25."""
    day_tokens: int = Field(default=2_000_000, ge=0)
    """Tokens for a day (UTC). Default two million."""
    day_dollars: float = Field(default=5.0, ge=0)
    """Dollars for a day (UTC). Default 5."""


class LlmSettings(Section):
    """Language models that propose plans. Whatever they answer, catalogue, policy and people decide."""

    enabled: bool = False
    """Ask the providers before the runbooks. Default no: runbooks alone plan."""
    providers: tuple[ProviderSettings, ...] = (
        ProviderSettings(
            kind="groq",
            model="llama-3.3-70b-versatile",
            key_env="GROQ_API_KEY",
            input_price=0.59,
            output_price=0.79,
        ),
        ProviderSettings(
            kind="openai", model="gpt-4.1-mini", key_env="OPENAI_API_KEY", input_price=0.40, output_price=1.60
        ),
        ProviderSettings(
            kind="anthropic", model="claude-haiku-4-5", key_env="ANTHROPIC_API_KEY", input_price=1.0, output_price=5.0
        ),
    )
    """Who is asked, in this order, until one answers well. Default Groq (fastest), OpenAI, Anthropic."""
    deadline: Positive = 5.0
    """Seconds for the whole chain; after that the runbooks plan. Default 5."""
    provider_timeout: Positive = 2.0
    """Longest wait for one provider, so that the next one gets its turn within the deadline. Default 2."""
    max_output_tokens: int = Field(default=1024, ge=64)
    """Longest answer. Default 1024; a plan of five steps takes about 400. An answer that was cut off is a failure."""
    max_facts: int = Field(default=60, ge=1)
    """Most facts that are sent; suspects, alerts and changes first. Default 60."""
    max_fact_chars: int = Field(default=400, ge=40)
    """Longest text of one fact. Default 400 characters; the rest is cut off."""
    breaker: LlmBreakerSettings = LlmBreakerSettings()
    """When a failing provider is left alone."""
    budget: LlmBudgetSettings = LlmBudgetSettings()
    """What the models may use."""
    probe: bool = True
    """Ask each provider one tiny question when the worker starts, in the background; who answers is in the log, the
    metrics and the API's health, and nothing waits for it. Default yes: it costs some hundred tokens."""
    usage_file: str = "llm-usage.jsonl"
    """File that keeps what was used today across restarts, relative to `state_dir`. Workers of other machines keep their
    own, so with several workers the budget is for each."""
    record_file: str = ""
    """File to which every question and answer is appended, relative to `state_dir`, to be played back. Default none."""
    replay_file: str = ""
    """Answers come from this file and nobody is asked; for tests and drills. Default none."""
