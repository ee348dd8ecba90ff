"""Slack's Web API as the sender needs it: six calls, and errors by what they mean for the next try."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web import SlackResponse

from remediation.notifiers.slack_card import Message
from sentinel.errors import PermanentError, TransientError
from sentinel.slack_settings import SlackSettings

_GONE = frozenset({"message_not_found", "thread_not_found", "cant_update_message", "edit_window_closed"})
_AGAIN = frozenset({"internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org"})
_TOO_MANY, _SERVER_ERROR = 429, 500
_HISTORY = 200


class RateLimitedError(TransientError):
    """Slack wants a pause of `seconds`; the call did nothing."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"slack: too many calls, pause of {seconds:g} s")
        self.seconds = seconds


class UnsureError(TransientError):
    """Nobody knows whether the call was carried out: no answer, or an error of the server itself."""


class MessageGoneError(PermanentError):
    """The message was deleted, or cannot be changed any more."""


class SlackClient:
    """One bot in one workspace. Connects at the first call; tries nothing again by itself."""

    def __init__(self, settings: SlackSettings) -> None:
        self._client = WebClient(
            token=settings.token.get_secret_value(),
            base_url=settings.base_url,
            timeout=settings.timeout,
            # A library that repeats a post whose answer was lost posts it twice.
            retry_handlers=[],
        )

    def post(self, channel: str, message: Message, incident_id: str) -> str:
        """Post a new card; returns its id (`ts`)."""
        mark = {"event_type": "sentinel_card", "event_payload": {"incident_id": incident_id}}
        values = _shown(channel, message) | {"metadata": mark}
        body = self._call(self._client.chat_postMessage, values | {"unfurl_links": False, "unfurl_media": False})
        return str(body["ts"])

    def update(self, channel: str, ts: str, message: Message) -> None:
        """Replace the card's content. Raises `MessageGoneError` when it is not there any more."""
        self._call(self._client.chat_update, _shown(channel, message) | {"ts": ts})

    def reply(self, channel: str, ts: str, text: str, rows: list[str]) -> None:
        """Add a message to the card's thread that tells these timeline rows."""
        mark = {"event_type": "sentinel_steps", "event_payload": {"rows": rows}}
        values = {"channel": channel, "thread_ts": ts, "text": text, "metadata": mark}
        self._call(self._client.chat_postMessage, values | {"unfurl_links": False, "unfurl_media": False})

    def upload(self, filename: str, title: str, content: bytes) -> str:
        """Upload a picture that cards can show; returns its id. Repeated, it is another file that nobody sees."""
        values = {"filename": filename, "title": title, "alt_txt": title, "content": content}
        return str(self._call(self._client.files_upload_v2, values)["file"]["id"])

    def find_card(self, channel: str, incident_id: str, since: float) -> str:
        """The id of a card for this incident that was posted after `since` (epoch seconds), or an empty string."""
        values = {"channel": channel, "oldest": f"{since:.6f}", "limit": _HISTORY, "include_all_metadata": True}
        for message in self._call(self._client.conversations_history, values)["messages"]:
            if _mark(message, "sentinel_card").get("incident_id") == incident_id:
                return str(message["ts"])
        return ""

    def find_steps(self, channel: str, ts: str) -> set[str]:
        """The timeline rows that the card's thread tells already."""
        values = {"channel": channel, "ts": ts, "limit": _HISTORY, "include_all_metadata": True}
        replies = self._call(self._client.conversations_replies, values)["messages"]
        return {str(row) for message in replies for row in _mark(message, "sentinel_steps").get("rows", [])}

    def _call(self, function: Callable[..., SlackResponse], values: dict[str, Any]) -> dict[str, Any]:
        method = function.__name__
        try:
            answer = function(**values)
        except SlackApiError as error:
            raise _translated(method, error) from error
        except (SlackClientError, OSError, http.client.HTTPException) as error:
            raise UnsureError(f"slack: {method}: {str(error) or type(error).__name__}") from error
        body = answer.data
        if not isinstance(body, dict):
            raise UnsureError(f"slack: {method}: the answer is no JSON object")
        return body


def _shown(channel: str, message: Message) -> dict[str, Any]:
    return {"channel": channel, "text": message.text, "blocks": message.blocks}


def _mark(message: dict[str, Any], event_type: str) -> dict[str, Any]:
    metadata = message.get("metadata") or {}
    payload = metadata.get("event_payload") if metadata.get("event_type") == event_type else None
    return payload if isinstance(payload, dict) else {}


def _translated(method: str, error: SlackApiError) -> Exception:
    response = error.response
    status = int(getattr(response, "status_code", 0))
    headers = {str(key).lower(): value for key, value in (getattr(response, "headers", None) or {}).items()}
    data = getattr(response, "data", None)
    reason = str(data.get("error", "")) if isinstance(data, dict) else ""
    text = f"slack: {method}: {reason or f'HTTP {status}'}"
    if status == _TOO_MANY or reason in ("ratelimited", "rate_limited"):
        return RateLimitedError(_pause(headers.get("retry-after", "")))
    if status >= _SERVER_ERROR or reason in _AGAIN:
        return UnsureError(text)
    if reason in _GONE:
        return MessageGoneError(text)
    return PermanentError(text)


def _pause(value: str) -> float:
    """Seconds of `Retry-After`; a minute where it cannot be read, never more than an hour."""
    return min(float(value), 3600.0) if str(value).isdigit() else 60.0
