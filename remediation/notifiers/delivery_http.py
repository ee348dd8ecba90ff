"""One HTTP POST to a destination with one deadline for all of it, and its answer as an error by kind."""

from __future__ import annotations

import asyncio
import email.utils
import ssl
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from remediation.notifiers.delivery import PauseError
from sentinel.errors import PermanentError, TransientError

_AGAIN = frozenset({408, 409, 423, 425, 429})
"""Client errors after which the same request may succeed."""
_PAUSES = frozenset({429, 503})
_SERVER_ERROR = 500
_PAUSE_DEFAULT, _PAUSE_MAX = 60.0, 3600.0
_READ, _EXCERPT = 2048, 300
"""Bytes of an answer that are read, and characters that are kept for the reason."""


_Answer = tuple[int, httpx.Headers, str]
"""Status, headers, and the beginning of the body."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """What is sent. `secrets` are texts that must never stand in an error, whatever the destination echoes."""

    url: str
    body: bytes
    headers: Mapping[str, str]
    secrets: tuple[str, ...] = ()


class HttpPoster:
    """Posts to one destination. A new connection for each call: there are few, and none is stale after a pause."""

    def __init__(self, name: str, deadline: float) -> None:
        """`deadline` in seconds, from name lookup to the last byte that is read: a server that drips holds nothing up."""
        self._name = name
        self._deadline = deadline
        self._tls: ssl.SSLContext | None = None

    def send(self, post: Post, *, now: float) -> None:
        """POST it; returns after a 2xx. See `Destination.deliver` for the errors. `now` is wall time in seconds."""
        try:
            status, headers, excerpt = _run(self._exchange(post))
        except TimeoutError as error:
            raise TransientError(f"{self._name}: no answer within {self._deadline:g} s") from error
        except httpx.TransportError as error:
            # The library's own text is left out: it may quote what was sent.
            raise TransientError(f"{self._name}: {type(error).__name__}") from None
        if httpx.codes.is_success(status):
            return
        said = " ".join(_hidden(excerpt, post.secrets).split())[:_EXCERPT]
        text = f"{self._name}: HTTP {status} {said}".rstrip()
        if status in _PAUSES and (status == httpx.codes.TOO_MANY_REQUESTS or "retry-after" in headers):
            raise PauseError(text, pause_of(headers.get("retry-after", ""), now))
        if status >= _SERVER_ERROR or status in _AGAIN:
            raise TransientError(text)
        raise PermanentError(text)

    async def _exchange(self, post: Post) -> _Answer:
        if self._tls is None:
            self._tls = httpx.create_ssl_context()
        async with asyncio.timeout(self._deadline):
            # Redirects are not followed: they could leave the hosts that are allowed.
            client = httpx.AsyncClient(verify=self._tls, timeout=self._deadline, follow_redirects=False)
            headers = {"User-Agent": "aiops-sentinel", "Accept-Encoding": "identity", **post.headers}
            async with client, client.stream("POST", post.url, content=post.body, headers=headers) as response:
                excerpt = b""
                async for chunk in response.aiter_raw(_READ):
                    excerpt += chunk
                    if len(excerpt) >= _READ:
                        break
                return response.status_code, response.headers, excerpt.decode(errors="replace")


def _run(exchange: Coroutine[Any, Any, _Answer]) -> _Answer:
    """Run it in a loop of its own. Not `asyncio.run`: that waits at its end for a name lookup that hangs."""
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(exchange)
    finally:
        loop.close()


def pause_of(header: str, now: float) -> float:
    """Seconds of a `Retry-After`, a number or a date; a minute where it cannot be read, never more than an hour."""
    text = header.strip()
    if text.isdigit():
        return min(float(text), _PAUSE_MAX)
    try:
        at = email.utils.parsedate_to_datetime(text).timestamp()
    except ValueError:
        return _PAUSE_DEFAULT
    return min(max(at - now, 0.0), _PAUSE_MAX)


def _hidden(text: str, secrets: tuple[str, ...]) -> str:
    for secret in secrets:
        text = text.replace(secret, "***") if secret else text
    return text
