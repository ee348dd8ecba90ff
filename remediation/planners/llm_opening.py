"""Puts the chain of models together from the configuration and the keys that are there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from remediation.planners.llm_breakers import Breaker
from remediation.planners.llm_budgets import Budget
from remediation.planners.llm_calls import Model
from remediation.planners.llm_consulting import Consultant, Seat
from remediation.planners.llm_recording import RecordingModel, ReplayedModel
from remediation.planners.llm_settings import LlmSettings, ProviderSettings
from sentinel.config import resolve
from sentinel.errors import ConfigError
from sentinel.logs import get_logger

_LOG = get_logger("llm")


@contextmanager
def open_consultant(
    settings: LlmSettings, state: Path, env: Mapping[str, str], now: Callable[[], float], clock: Callable[[], float]
) -> Iterator[Consultant | None]:
    """The chain of the providers whose key is in `env`; None when models are off or no key is there.

    `now` is wall time, `clock` monotonic, both in seconds. Raises `ConfigError` when the extra `llm` is not installed.
    """
    chosen = settings.providers if settings.enabled else ()
    if not settings.replay_file:
        chosen = tuple(one for one in chosen if env.get(one.key_env))
    if settings.enabled and not chosen:
        names = ", ".join(one.key_env for one in settings.providers)
        _LOG.warning("no_model", reason=f"none of {names} is set; runbooks plan alone")
    if not chosen:
        yield None
        return
    with _models(settings, chosen, state, env) as models:
        budget = Budget(settings.budget, now, resolve(state, settings.usage_file))
        seats = [Seat(one, model, Breaker(settings.breaker)) for one, model in zip(chosen, models, strict=True)]
        yield Consultant(settings, seats, budget, clock)


@contextmanager
def _models(
    settings: LlmSettings, chosen: tuple[ProviderSettings, ...], state: Path, env: Mapping[str, str]
) -> Iterator[list[Model]]:
    if settings.replay_file:
        path = resolve(state, settings.replay_file)
        yield [ReplayedModel(one.kind, one.model, path) for one in chosen]
        return
    try:
        # Here and not above: the libraries are optional and take seconds to import.
        from remediation.planners.llm_models import CallLoop, LangChainModel  # noqa: PLC0415
    except ModuleNotFoundError as error:
        remedy = "pip install 'aiops-sentinel[llm]', or set remediation.llm.enabled to false"
        raise ConfigError(f"remediation.llm.enabled: {error.name} is not installed; {remedy}") from error
    loop = CallLoop()
    try:
        models: list[Model] = [LangChainModel(one, settings, env[one.key_env], loop) for one in chosen]
        if settings.record_file:
            models = [RecordingModel(model, resolve(state, settings.record_file)) for model in models]
        yield models
    finally:
        loop.close()
