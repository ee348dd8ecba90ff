"""A double of Slack over real HTTP: Web API with tokens and Block Kit's rules, faults on demand, and clicks that it signs.

`SlackDouble()` listens on a free port of 127.0.0.1 until `close`. Messages are kept by channel and `ts`. Faults are queued
by method: `fail("chat.postMessage", "lose")`. `press`, `submit` and `command` post to the product as Slack does, or send an
envelope over the socket where they are given no URL.
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

from tests.services.slack_files import Files
from tests.services.slack_rules import check_blocks
from tests.services.slack_sockets import Sockets

TOKEN, APP_TOKEN = "xoxb-double", "xapp-double"
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
        self.sockets = Sockets()
        self.files = Files()
        listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}/api/"
        self._server = uvicorn.Server(uvicorn.Config(_cut_off(self._app()), log_config=None, lifespan="off"))
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [listener]})
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)

    def close(self):
        self.sockets.drop()
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

    def submit(self, url, view, user, answer, *, ticked=False, **how):
        """Send a modal off: with this reason in its input, or with this option (a number) chosen."""
        self._counter += 1
        wanted, *boxes = [block for block in view["blocks"] if block["type"] == "input"]
        kind = wanted["element"]["type"]
        given = {"selected_option": {"value": str(answer)}} if kind == "static_select" else {"value": answer}
        state = {"values": {wanted["block_id"]: {wanted["element"]["action_id"]: {"type": kind, **given}}}}
        for box in boxes:
            chosen = box["element"]["options"] if ticked else []
            state["values"][box["block_id"]] = {box["element"]["action_id"]: {"selected_options": chosen}}
        payload = {
            "type": "view_submission",
            "user": {"id": user, "team_id": "T1"},
            "team": {"id": "T1"},
            "trigger_id": f"trigger-{self._counter}",
            "view": {**view, "id": "V1", "state": state},
        }
        return self.send(url, payload, **how)

    def command(self, url, text, user, *, channel="C0MAIN", **how):
        """Type `/sentinel TEXT`."""
        self._counter += 1
        fields = {
            "command": "/sentinel",
            "text": text,
            "user_id": user,
            "channel_id": channel,
            "team_id": "T1",
            "trigger_id": f"trigger-{self._counter}",
            "response_url": "https://slack.invalid/",
        }
        return self.send(url, fields, kind="slash_commands", **how)

    def send(self, url, payload, *, kind="interactive", at=None, secret=SECRET, headers=None, body=None):
        """POST a payload, signed as Slack signs; over the socket where `url` is None. `body` replaces the signed bytes."""
        if url is None:
            return self.sockets.deliver(kind, payload)
        data = urlencode(payload if kind == "slash_commands" else {"payload": json.dumps(payload)})
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
        self.sockets.serve(app)
        self.files.serve(app)

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
        token = APP_TOKEN if method == "apps.connections.open" else TOKEN
        if headers.get("authorization") != f"Bearer {token}":
            return {"ok": False, "error": "invalid_auth" if "authorization" in headers else "not_authed"}
        with self._lock:
            answer = getattr(self, "_" + method.replace(".", "_").lower(), _unknown)(values)
            kept = self.calls if answer["ok"] else self.refused
            kept.append((method, values if answer["ok"] else answer["error"]))
        return Response(headers=_DROPPED) if fault == "lose_answer" else answer

    def _apps_connections_open(self, _values):
        return {"ok": True, "url": self.sockets.new_url(self.url)}

    def _files_getuploadurlexternal(self, values):
        return self.files.begin(self.url, values)

    def _files_completeuploadexternal(self, values):
        return self.files.complete(values)

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
        error = check_blocks(view["blocks"], most=100, modal=True) or (
            "" if values["trigger_id"] else "invalid_trigger_id"
        )
        if error or len(view["title"]["text"]) > 24 or len(view.get("private_metadata", "")) > 3000:
            return {"ok": False, "error": error or "invalid_arguments"}
        self.views.append(view)
        return {"ok": True, "view": view}

    def _check(self, values):
        if values.get("channel") not in self.channels:
            return "channel_not_found"
        if not values.get("text") or len(values["text"]) > 4000:
            return "no_text" if not values.get("text") else "msg_too_long"
        blocks = values.get("blocks", [])
        return check_blocks(blocks, most=50) or self.files.check(blocks)


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
        return json.loads(body or b"{}")
    return dict(httpx.QueryParams(body.decode()))
