"""One HTTP server that speaks the APIs of Groq, OpenAI and Anthropic, well or badly, as `modes` says for each.

The real client libraries reach it over loopback. What it proposes is made from the evidence in the question.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from remediation.planners.llm_prompts import read_data
from tests.services.processes import free_port

PROVIDERS = ("groq", "openai", "anthropic")
MODES = ("ok", "slow", "drip", "down", "429", "truncated", "invalid", "garbled", "lying", "uncited", "nothing")
KEYS = {provider: f"key-of-{provider}" for provider in PROVIDERS}
SLOW = 30.0
"""Seconds that mode `slow` waits, and that `drip` takes for the whole answer: longer than any deadline."""


class LlmDouble:
    """The server's state. `modes` by provider; `calls` holds every request, as (provider, body).

    `seconds` is for tests to keep how long they waited.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.modes = dict.fromkeys(PROVIDERS, "ok")
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.seconds = 0.0
        self.app = FastAPI()
        self.app.post("/openai/v1/chat/completions")(self._groq)
        self.app.post("/v1/chat/completions")(self._openai)
        self.app.post("/v1/messages")(self._anthropic)

    def base_url(self, provider: str) -> str:
        """What the provider's client library takes as its base URL."""
        return f"http://127.0.0.1:{self.port}" + ("/v1" if provider == "openai" else "")

    def asked(self) -> list[str]:
        """The providers that were called, in order."""
        return [provider for provider, _ in self.calls]

    async def _groq(self, request: Request) -> Response:
        return await self._answer("groq", request)

    async def _openai(self, request: Request) -> Response:
        return await self._answer("openai", request)

    async def _anthropic(self, request: Request) -> Response:
        return await self._answer("anthropic", request)

    async def _answer(self, provider: str, request: Request) -> Response:
        body = await request.json()
        self.calls.append((provider, body))
        mode = self.modes[provider]
        # Anthropic's own client has sent its key in either header, depending on its version.
        if (
            request.headers.get("authorization", f"Bearer {request.headers.get('x-api-key')}")
            != f"Bearer {KEYS[provider]}"
        ):
            return JSONResponse({"error": {"message": "invalid api key", "type": "authentication_error"}}, 401)
        if mode == "down":
            return JSONResponse({"error": {"message": "overloaded", "type": "server_error"}}, 503)
        if mode == "429":
            headers = {"retry-after": "30"}
            return JSONResponse({"error": {"message": "rate limit", "type": "tokens"}}, 429, headers=headers)
        if mode == "garbled":
            return Response("<html>a proxy's login page</html>", media_type="application/json")
        if mode == "slow":
            await asyncio.sleep(SLOW)
        answer = _envelope(provider, body, *_plan(mode, _data_of(provider, body)))
        if mode == "drip":
            return StreamingResponse(_drops(json.dumps(answer)), media_type="application/json")
        return JSONResponse(answer)


@contextmanager
def running_double() -> Iterator[LlmDouble]:
    """The double, listening on a free port in a thread until the block ends."""
    double = LlmDouble(free_port())
    config = uvicorn.Config(double.app, host="127.0.0.1", port=double.port, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the double did not start"
        time.sleep(0.01)
    try:
        yield double
    finally:
        server.should_exit = server.force_exit = True
        thread.join(10)


async def _drops(text: str) -> AsyncIterator[bytes]:
    """The answer, a byte now and then, so that a time-out for each read never comes."""
    for char in text:
        yield char.encode()
        await asyncio.sleep(SLOW / len(text))


def _data_of(provider: str, body: dict[str, Any]) -> Any:
    content = next(m["content"] for m in body["messages"] if m["role"] == "user")
    return read_data(content if isinstance(content, str) else content[0]["text"])


def _plan(mode: str, data: Any) -> tuple[Any, str]:
    """The arguments of the tool call, and how the answer ended."""
    cites = [fact["id"] for fact in data["facts"][:2]]
    service = data["first_suspect"] if mode != "lying" else "payments"
    plan: dict[str, Any] = {
        "summary": f"{service} misbehaves; a restart clears it",
        "claims": [{"text": f"{service} is the cause", "cites": cites if mode != "uncited" else ["ev-invented"]}],
        "steps": [{"action": "restart", "service": service, "params": {}, "reason": "it clears the state"}],
    }
    if mode == "invalid":
        plan["steps"] = "restart everything"
    if mode == "nothing":
        plan["steps"] = []
    return plan, "cut" if mode == "truncated" else "whole"


def _envelope(provider: str, body: dict[str, Any], plan: Any, end: str) -> dict[str, Any]:
    if provider == "anthropic":
        block = {"type": "tool_use", "id": "t1", "name": body["tools"][0]["name"], "input": plan}
        return {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "content": [block],
            "stop_reason": "tool_use" if end == "whole" else "max_tokens",
            "stop_sequence": None,
            "usage": {"input_tokens": 700, "output_tokens": 90},
        }
    function = {"name": body["tools"][0]["function"]["name"], "arguments": json.dumps(plan)}
    message = {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c1", "type": "function", "function": function}],
    }
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": body["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls" if end == "whole" else "length"}],
        "usage": {"prompt_tokens": 700, "completion_tokens": 90, "total_tokens": 790},
    }
