"""A double of Slack over real HTTP: Web API with tokens and Block Kit's rules, faults on demand, and clicks that it signs.

`SlackDouble()` listens on a free port of 127.0.0.1 until `close`. Messages are kept by channel and `ts`. Faults are queued
by method: `fail("chat.postMessage", "lose")`. `press` and `submit` post to the product as Slack does.
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from slack_sdk.signature import SignatureVerifier

TOKEN = "xoxb-double"
SECRET = "signing-secret-of-the-double"
Json = dict[str, Any]
_DROPPED = {"x-dropped": "1"}


@dataclass
class SlackDouble:
    """One workspace. `calls` has (method, values) of every accepted call; times are wall seconds."""

    channels: tuple[str, ...] = ("C0MAIN",)
    users: dict[str, Json] = field(default_factory=dict)
    messages: dict[str, dict[str, Json]] = field(default_factory=lambda: defaultdict(dict))
    ephemeral: list[Json] = field(default_factory=list)
    views: list[Json] = field(default_factory=list)
    calls: list[tuple[str, Json]] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self):
        self._faults = defaultdict(deque)
        self._lock = threading.Lock()
        self._counter = 0
        listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}/api/"
        self._server = uvicorn.Server(uvicorn.Config(_cut_off(self._app()), log_config=None, lifespan="off"))
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [listener]})
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)

    def close(self):
        self._server.should_exit = True
        self._thread.join(10)

    # --- what a test sets up ---------------------------------------------------------------------------------------

    def add_user(self, user, **fields):
        self.users[user] = {"id": user, "deleted": False, "is_bot": False, **fields}

    def fail(self, method, fault, **more):
        """Queue a fault for the next call of a method.

        `lose` (does nothing, no answer), `lose_answer` (does it, no answer), `rate_limit` (`seconds`), `error`
        (`error`), `status` (`status`), `delay` (`seconds`).
        """
        self._faults[method].append((fault, more))

    def delete(self, channel, ts):
        del self.messages[channel][ts]

    # --- what a test looks at --------------------------------------------------------------------------------------

    def cards(self, channel="C0MAIN"):
        return [m for _, m in sorted(self.messages[channel].items()) if "thread_ts" not in m]

    def thread(self, ts, channel="C0MAIN"):
        return [m for _, m in sorted(self.messages[channel].items()) if m.get("thread_ts") == ts]

    def count(self, method):
        return sum(one == method for one, _ in self.calls)

    # --- Slack's own requests --------------------------------------------------------------------------------------

    def press(self, url, message, action_id, user, *, channel=None, value=None, **how):
        """Press a button of a message as `user`."""
        buttons = [e for b in message["blocks"] if b["type"] == "actions" for e in b["elements"]]
        found = [b for b in buttons if b["action_id"] == action_id]
        assert found or value is not None, f"the card has no button {action_id}"
        self._counter += 1
        action = {"type": "button", "action_id": action_id, "block_id": "b", "value": value or found[0]["value"]}
        payload = {
            "type": "block_actions",
            "user": {"id": user, "team_id": "T1"},
            "team": {"id": "T1"},
            "channel": {"id": channel or message["channel"]},
            "message": message,
            "trigger_id": f"trigger-{self._counter}",
            "actions": [action],
        }
        return self.send(url, payload, **how)

    def submit(self, url, view, user, reason, **how):
        """Send a modal off, with this reason in its input."""
        self._counter += 1
        state = {"values": {"reason": {"text": {"type": "plain_text_input", "value": reason}}}}
        payload = {
            "type": "view_submission",
            "user": {"id": user, "team_id": "T1"},
            "team": {"id": "T1"},
            "trigger_id": f"trigger-{self._counter}",
            "view": {**view, "id": "V1", "state": state},
        }
        return self.send(url, payload, **how)

    def send(self, url, payload, *, at=None, secret=SECRET, headers=None, body=None):
        """POST a payload, signed as Slack signs. `body` replaces the signed bytes afterwards."""
        data = urlencode({"payload": json.dumps(payload)})
        timestamp = str(int(time.time() if at is None else at))
        signature = SignatureVerifier(secret).generate_signature(timestamp=timestamp, body=data)
        signed = {
            "Content-Type": "application/x-www-form-urlencoded",
            "X-Slack-Request-Timestamp": timestamp,
            "X-Slack-Signature": signature,
            **(headers or {}),
        }
        return httpx.post(f"{url}/slack/events", content=body or data, headers=signed, trust_env=False, timeout=10)

    # --- the Web API -----------------------------------------------------------------------------------------------

    def _app(self):
        app = FastAPI()

        @app.api_route("/api/{method}", methods=["GET", "POST"])
        async def call(method: str, request: Request):
            return await run_in_threadpool(self._answer, method, request.headers, await _values(request))

        return app

    def _answer(self, method, headers, values):
        with self._lock:
            fault, more = self._faults[method].popleft() if self._faults[method] else ("", {})
        if fault == "rate_limit":
            body = {"ok": False, "error": "ratelimited"}
            return JSONResponse(body, 429, headers={"Retry-After": str(more["seconds"])})
        if fault == "delay":
            time.sleep(more["seconds"])
        if fault == "status":
            return Response("upstream error", more["status"])
        if fault == "lose":
            return Response(headers=_DROPPED)
        if fault == "error":
            return {"ok": False, "error": more["error"]}
        if headers.get("authorization") != f"Bearer {TOKEN}":
            return {"ok": False, "error": "invalid_auth" if "authorization" in headers else "not_authed"}
        with self._lock:
            answer = getattr(self, "_" + method.replace(".", "_").lower(), _unknown)(values)
            kept = self.calls if answer["ok"] else self.refused
            kept.append((method, values if answer["ok"] else answer["error"]))
        return Response(headers=_DROPPED) if fault == "lose_answer" else answer

    def _auth_test(self, _values):
        return {"ok": True, "team_id": "T1", "user_id": "U0BOT", "bot_id": "B1"}

    def _chat_postmessage(self, values):
        error = self._check(values)
        if error:
            return {"ok": False, "error": error}
        parent = values.get("thread_ts")
        if parent and parent not in self.messages[values["channel"]]:
            return {"ok": False, "error": "thread_not_found"}
        self._counter += 1
        ts = f"{time.time():.4f}{self._counter:02d}"
        self.messages[values["channel"]][ts] = {**values, "ts": ts}
        return {"ok": True, "channel": values["channel"], "ts": ts}

    def _chat_update(self, values):
        error = self._check(values)
        found = self.messages[values["channel"]].get(values.get("ts"))
        if error or found is None:
            return {"ok": False, "error": error or "message_not_found"}
        found.update(text=values["text"], blocks=values["blocks"])
        return {"ok": True, "channel": values["channel"], "ts": values["ts"]}

    def _chat_postephemeral(self, values):
        error = self._check(values)
        if not error:
            self.ephemeral.append(values)
        return {"ok": not error, "error": error} if error else {"ok": True, "message_ts": "1.1"}

    def _conversations_history(self, values):
        oldest = float(values.get("oldest", 0))
        found = [m for m in self.cards(values["channel"]) if float(m["ts"]) >= oldest]
        return {"ok": True, "messages": found[::-1]}

    def _conversations_replies(self, values):
        parent = self.messages[values["channel"]].get(values["ts"])
        if parent is None:
            return {"ok": False, "error": "thread_not_found"}
        return {"ok": True, "messages": [parent, *self.thread(values["ts"], values["channel"])]}

    def _users_info(self, values):
        user = self.users.get(values["user"])
        return {"ok": True, "user": user} if user else {"ok": False, "error": "user_not_found"}

    def _views_open(self, values):
        view = values["view"]
        view = json.loads(view) if isinstance(view, str) else view
        error = check_blocks(view["blocks"], most=100) or ("" if values["trigger_id"] else "invalid_trigger_id")
        if error or len(view["title"]["text"]) > 24 or len(view.get("private_metadata", "")) > 3000:
            return {"ok": False, "error": error or "invalid_arguments"}
        self.views.append(view)
        return {"ok": True, "view": view}

    def _check(self, values):
        if values.get("channel") not in self.channels:
            return "channel_not_found"
        if not values.get("text") or len(values["text"]) > 4000:
            return "no_text" if not values.get("text") else "msg_too_long"
        return check_blocks(values.get("blocks", []), most=50)


def _unknown(_values):
    return {"ok": False, "error": "unknown_method"}


def _cut_off(app):
    """Closes the connection, without a byte of an answer, where a route answers with `_DROPPED`."""

    async def guarded(scope, receive, send):
        async def send_or_cut(message):
            if dict(message.get("headers", ())).get(b"x-dropped"):
                send.__self__.transport.abort()
                await asyncio.sleep(0.01)
            await send(message)

        await app(scope, receive, send_or_cut)

    return guarded


async def _values(request):
    if request.method == "GET":
        return dict(request.query_params)
    body = await request.body()
    if "json" in request.headers.get("content-type", ""):
        return json.loads(body)
    return dict(httpx.QueryParams(body.decode()))


def check_blocks(blocks, *, most):
    """Slack's rules for blocks, as far as the product uses them; the error, or an empty string."""
    if len(blocks) > most:
        return "invalid_blocks: too many"
    seen = set()
    for block in blocks:
        problem = _check_block(block) or ("block_id twice" if block.get("block_id") in seen else "")
        if problem:
            return f"invalid_blocks: {problem}"
        seen |= {block["block_id"]} if "block_id" in block else set()
    if sum(len(text) for text in texts(blocks)) > 13_200:
        return "msg_blocks_too_long"
    return ""


def texts(blocks):
    """Every text that blocks show."""
    for block in blocks:
        for part in (block.get("text"), *block.get("elements", []), block.get("label")):
            text = part.get("text") if isinstance(part, dict) else None
            yield from ([text["text"]] if isinstance(text, dict) else [text] if text else [])


def _check_block(block):
    match block.get("type"):
        case "header":
            return _check_text(block["text"], 150, ("plain_text",))
        case "section":
            return _check_text(block["text"], 3000, ("mrkdwn", "plain_text"))
        case "context":
            if not 1 <= len(block["elements"]) <= 10:
                return "context elements"
            return next(filter(None, (_check_text(e, 3000, ("mrkdwn",)) for e in block["elements"])), "")
        case "actions":
            if not 1 <= len(block["elements"]) <= 25:
                return "actions elements"
            names = [e["action_id"] for e in block["elements"]]
            if len(set(names)) != len(names):
                return "action_id twice"
            return next(filter(None, map(_check_button, block["elements"])), "")
        case "input":
            return _check_text(block["label"], 2000, ("plain_text",))
        case other:
            return f"type {other}"


def _check_button(button):
    if button["type"] != "button" or len(button["action_id"]) > 255 or len(button["value"]) > 2000:
        return "button"
    if button.get("style", "primary") not in ("primary", "danger"):
        return "style"
    return _check_text(button["text"], 75, ("plain_text",))


def _check_text(text, most, kinds):
    if text["type"] not in kinds:
        return f"text type {text['type']}"
    if not 1 <= len(text["text"]) <= most:
        return f"text length {len(text['text'])}, 1 to {most}"
    if "verbatim" in text and text["type"] != "mrkdwn":
        return "verbatim"
    return ""
