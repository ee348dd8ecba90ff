"""The only file that knows LangChain's chat models: one question over HTTP, with a deadline that holds.

Imported only where models are configured (the optional extra `llm`); the import takes seconds, so it is done at start.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from langchain_anthropic import ChatAnthropic
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.runnables import Runnable
from langchain_groq import ChatGroq
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from remediation.planners.llm_answers import PlanAnswer
from remediation.planners.llm_calls import Problem, Prompt, Reply, Usage
from remediation.planners.llm_settings import LlmSettings, ProviderSettings
from sentinel.logs import get_logger

_LOG = get_logger("llm")
_WHOLE = frozenset({"stop", "tool_calls", "end_turn", "tool_use"})
_CUT_OFF = frozenset({"length", "max_tokens", "model_context_window_exceeded"})
_BASE_URLS = {
    "groq": "https://api.groq.com",
    "openai": "https://api.openai.com/v1",
    "anthropic": "https://api.anthropic.com",
}
# Questions come minutes apart, when a kept connection is long gone; and the clients, which LangChain shares between models
# of a process, keep nothing that a closed loop would own.
_HEADERS = {"Connection": "close"}


class CallLoop:
    """One thread with an event loop on which all calls run: a call that is late is cancelled there, whatever it waits for.

    A time-out of the HTTP client alone would not do: it counts anew with every byte that comes.
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="llm", daemon=True)
        self._thread.start()

    def run(self, call: Coroutine[Any, Any, Any], seconds: float) -> Any:
        """The call's result; raises TimeoutError after `seconds`, also when the loop itself is held up."""
        future = asyncio.run_coroutine_threadsafe(call, self._loop)
        try:
            return future.result(seconds)
        except TimeoutError:
            future.cancel()
            raise

    def close(self) -> None:
        """Cancel what still runs, and end the thread."""
        asyncio.run_coroutine_threadsafe(_cancel_all(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()


async def _cancel_all() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


class LangChainModel:
    """A `Model` over one LangChain chat model with typed output."""

    def __init__(self, settings: ProviderSettings, llm: LlmSettings, key: str, loop: CallLoop) -> None:
        self.provider: str = settings.kind
        self.model = settings.model
        self._loop = loop
        # The same way of typed output for all three: one tool that must be called, whose arguments are the answer.
        self._chat: Runnable[LanguageModelInput, Any] = _MAKERS[settings.kind](
            settings, llm, key
        ).with_structured_output(PlanAnswer, method="function_calling", include_raw=True)

    def ask(self, prompt: Prompt, seconds: float) -> Reply:
        """See `Model.ask`."""
        messages = [SystemMessage(prompt.system), HumanMessage(prompt.data)]
        try:
            return _reply(self._loop.run(self._chat.ainvoke(messages), seconds))
        except Exception as error:  # noqa: BLE001 three client libraries raise what they like; it is named and logged, and the next provider or the runbooks go on
            problem = _problem_of(error)
            _LOG.warning(
                "model_failed", provider=self.provider, model=self.model, problem=problem.value, error=str(error)
            )
            return Reply(problem=problem, detail=f"{type(error).__name__}: {error}"[:300])


def _reply(result: dict[str, Any]) -> Reply:
    raw, parsed, wrong = result["raw"], result["parsed"], result["parsing_error"]
    usage = _usage(raw)
    finish = raw.response_metadata.get("finish_reason") or raw.response_metadata.get("stop_reason") or ""
    if finish in _CUT_OFF:
        return Reply(problem=Problem.TRUNCATED, detail=f"finish reason {finish}", usage=usage)
    if finish not in _WHOLE:
        return Reply(problem=Problem.INVALID, detail=f"finish reason {finish!r}", usage=usage)
    if not isinstance(parsed, PlanAnswer):
        return Reply(problem=Problem.INVALID, detail=f"not the wanted object: {wrong}"[:300], usage=usage)
    return Reply(answer=parsed, usage=usage)


def _usage(raw: AIMessage) -> Usage | None:
    told = raw.usage_metadata
    return Usage(input_tokens=told["input_tokens"], output_tokens=told["output_tokens"]) if told else None


def _problem_of(error: Exception) -> Problem:
    """The three client libraries come from one generator: their errors have the same names and `status_code`."""
    status = getattr(error, "status_code", None)
    if isinstance(status, int):
        if status == 429:
            return Problem.RATE_LIMITED
        return Problem.SERVER_ERROR if status >= 500 else Problem.REJECTED
    if isinstance(error, TimeoutError) or type(error).__name__ == "APITimeoutError":
        return Problem.TIMEOUT
    return Problem.UNREACHABLE if type(error).__name__ == "APIConnectionError" else Problem.INVALID


def _groq(settings: ProviderSettings, llm: LlmSettings, key: str) -> BaseChatModel:
    return ChatGroq(
        model_name=settings.model,
        groq_api_key=SecretStr(key),
        groq_api_base=settings.base_url or _BASE_URLS["groq"],
        max_tokens=llm.max_output_tokens,
        request_timeout=llm.provider_timeout,
        max_retries=0,
        default_headers=_HEADERS,
        **_temperature(settings),
    )


def _openai(settings: ProviderSettings, llm: LlmSettings, key: str) -> BaseChatModel:
    return ChatOpenAI(
        model_name=settings.model,
        openai_api_key=SecretStr(key),
        openai_api_base=settings.base_url or _BASE_URLS["openai"],
        max_tokens=llm.max_output_tokens,
        request_timeout=llm.provider_timeout,
        max_retries=0,
        default_headers=_HEADERS,
        **_temperature(settings),
    )


def _anthropic(settings: ProviderSettings, llm: LlmSettings, key: str) -> BaseChatModel:
    return ChatAnthropic(
        model=settings.model,
        anthropic_api_key=SecretStr(key),
        anthropic_api_url=settings.base_url or _BASE_URLS["anthropic"],
        max_tokens=llm.max_output_tokens,
        default_request_timeout=llm.provider_timeout,
        max_retries=0,
        default_headers=_HEADERS,
        **_temperature(settings),
    )


def _temperature(settings: ProviderSettings) -> dict[str, Any]:
    return {} if settings.temperature is None else {"temperature": settings.temperature}


_MAKERS: dict[str, Callable[[ProviderSettings, LlmSettings, str], BaseChatModel]] = {
    "groq": _groq,
    "openai": _openai,
    "anthropic": _anthropic,
}
