"""A stand-in for Slack, for the demo: takes over HTTP what Sentinel sends to Slack, and can press a button as Slack does.

It keeps cards and files in memory and checks little; how Slack itself behaves is in the tests. Nothing of it is Slack.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode

import httpx
import uvicorn
from fastapi import FastAPI, Request

from sentinel.errors import TransientError

CHANNEL, PRESSER = "C0DEMO", "U0DEMO"
"""The one channel, and the person who presses."""
_TOKEN = "xoxb-stand-in"  # noqa: S105 opens nothing but the stand-in


@dataclass
class CardMessage:
    """A card: its blocks now, and its headers so far, oldest first."""

    ts: str
    blocks: list[dict[str, Any]]
    metadata: dict[str, Any]
    headers: list[str] = field(default_factory=list)
    replies: list[dict[str, Any]] = field(default_factory=list)

    def show(self, blocks: list[dict[str, Any]]) -> None:
        """The message is changed in place."""
        self.blocks = blocks
        said = next((str(block["text"]["text"]) for block in blocks if block["type"] == "header"), "")
        if said not in self.headers[-1:]:
            self.headers.append(said)

    def button(self, action_id: str) -> str:
        """The value of a button, or an empty string."""
        elements = [one for block in self.blocks if block["type"] == "actions" for one in block["elements"]]
        return next((str(one["value"]) for one in elements if one["action_id"] == action_id), "")

    @property
    def picture(self) -> str:
        """The id of the file on the card, or an empty string."""
        return next((str(block["slack_file"]["id"]) for block in self.blocks if block["type"] == "image"), "")


class SlackStandIn:
    """One workspace with one channel. `cards` by their `ts`, `files` by id, both as they are now."""

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self.cards: dict[str, CardMessage] = {}
        self.files: dict[str, bytes] = {}
        self._ids = itertools.count(1)
        self.base_url = ""

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Listen on a free port of the loopback meanwhile."""
        listener = socket.create_server(("127.0.0.1", 0))
        self.base_url = f"http://127.0.0.1:{listener.getsockname()[1]}/api/"
        server = uvicorn.Server(uvicorn.Config(self._app(), log_config=None, lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="slack-stand-in")
        thread.start()
        try:
            yield
        finally:
            server.should_exit = True
            thread.join()

    def settings(self) -> dict[str, Any]:
        """The `slack` section that leads here."""
        return {
            "channel": CHANNEL,
            "token": _TOKEN,
            "signing_secret": self._secret,
            "users": {PRESSER: "approver"},
            "base_url": self.base_url,
            "poll": 0.1,
        }

    def card_of(self, incident_id: str) -> CardMessage | None:
        """The card of an incident, once it was posted."""
        return next((card for card in self.cards.values() if _incident(card.metadata) == incident_id), None)

    def press(self, api: str, card: CardMessage, action_id: str) -> None:
        """Press a button: a signed request to the API, as Slack sends it. Raises `TransientError` unless it is taken."""
        action = {"type": "button", "action_id": action_id, "block_id": "b", "value": card.button(action_id)}
        payload = {
            "type": "block_actions",
            "user": {"id": PRESSER},
            "channel": {"id": CHANNEL},
            "trigger_id": f"trigger-{next(self._ids)}",
            "actions": [action],
        }
        body = urlencode({"payload": json.dumps(payload)})
        stamp = str(int(time.time()))
        signature = hmac.new(self._secret.encode(), f"v0:{stamp}:{body}".encode(), hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "X-Slack-Request-Timestamp": stamp,
            "X-Slack-Signature": f"v0={signature}",
        }
        answer = httpx.post(f"{api}/slack/events", content=body, headers=headers, timeout=5.0)
        if answer.status_code != httpx.codes.OK:
            raise TransientError(f"the API took no click: HTTP {answer.status_code}: {answer.text}")

    def _app(self) -> FastAPI:
        app = FastAPI()

        @app.api_route("/api/{method}", methods=["GET", "POST"])
        async def call(method: str, request: Request) -> dict[str, Any]:
            if request.headers.get("authorization") != f"Bearer {_TOKEN}":
                return {"ok": False, "error": "invalid_auth"}
            values = await _values(request)
            return {"ok": True, **self._answer(method, values)}

        @app.post("/upload/{name}")
        async def upload(name: str, request: Request) -> str:
            self.files[name] = await request.body()
            return "OK"

        return app

    def _answer(self, method: str, values: dict[str, Any]) -> dict[str, Any]:
        match method:
            case "chat.postMessage":
                return {"ts": self._post(values), "channel": CHANNEL}
            case "chat.update":
                card = self.cards.get(str(values["ts"]))
                if card is None:
                    return {"ok": False, "error": "message_not_found"}
                card.show(values["blocks"])
                return {"ts": card.ts, "channel": CHANNEL}
            case "conversations.history":
                return {"messages": [{"ts": card.ts, "metadata": card.metadata} for card in self.cards.values()]}
            case "conversations.replies":
                return {"messages": self.cards[str(values["ts"])].replies}
            case "users.info":
                return {"user": {"id": values["user"], "deleted": False, "is_bot": False}}
            case "files.getUploadURLExternal":
                name = f"F0{next(self._ids)}"
                return {"file_id": name, "upload_url": self.base_url.replace("/api/", "/upload/") + name}
            case "files.completeUploadExternal":
                return {"files": json.loads(values["files"])}
            case _:
                return {}

    def _post(self, values: dict[str, Any]) -> str:
        ts = f"{time.time():.4f}{next(self._ids):02d}"
        if "thread_ts" in values:
            self.cards[str(values["thread_ts"])].replies.append({**values, "ts": ts})
        else:
            self.cards[ts] = CardMessage(ts, [], values.get("metadata") or {})
            self.cards[ts].show(values.get("blocks") or [])
        return ts


def _incident(metadata: dict[str, Any]) -> str:
    return str((metadata.get("event_payload") or {}).get("incident_id", ""))


async def _values(request: Request) -> dict[str, Any]:
    if request.method == "GET":
        return dict(request.query_params)
    body = await request.body()
    if "json" in request.headers.get("content-type", ""):
        found: dict[str, Any] = json.loads(body or b"{}")
        return found
    return dict(parse_qsl(body.decode()))
