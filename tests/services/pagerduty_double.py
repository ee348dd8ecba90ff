"""A double of PagerDuty's Events API v2 over real HTTP: its rules, its alerts by `dedup_key`, and faults on demand."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from tests.services.http_double import HttpDouble

SEVERITIES = ("critical", "error", "warning", "info")


class PagerDutyDouble(HttpDouble):
    """One account with these routing keys. `alerts` by (routing key, dedup key), each the list of alerts in time."""

    def __init__(self, *keys: str) -> None:
        self.keys = keys
        self.alerts: dict[tuple[str, str], list[dict[str, Any]]] = {}
        super().__init__()
        self.enqueue = f"{self.url}/v2/enqueue"

    def reset(self):
        super().reset()
        self.alerts.clear()

    def alert(self, dedup_key, key=None):
        """The newest alert of a key."""
        return self.alerts[key or self.keys[0], dedup_key][-1]

    def answer(self, path, headers, body):
        errors = self._errors(path, headers, body)
        if errors:
            problem = {"status": "invalid event", "message": "Event object is invalid", "errors": errors}
            return 400, json.dumps(problem).encode()
        event = json.loads(body)
        self._take(event)
        return 202, json.dumps({"status": "success", "dedup_key": event["dedup_key"]}).encode()

    def _take(self, event):
        """A trigger opens an alert, or is one more line of the open one; the others change an open one alone."""
        alerts = self.alerts.setdefault((event["routing_key"], event["dedup_key"]), [])
        is_open = bool(alerts) and alerts[-1]["status"] != "resolved"
        if event["event_action"] == "trigger":
            if not is_open:
                alerts.append({"status": "triggered", "log": []})
            alerts[-1]["log"].append(event)
        elif is_open:
            alerts[-1]["status"] = "resolved" if event["event_action"] == "resolve" else "acknowledged"

    def _errors(self, path, headers, body):
        if path != "/v2/enqueue" or headers.get("content-type") != "application/json" or len(body) > 512_000:
            return ["not an event"]
        try:
            event = json.loads(body)
        except ValueError:
            return ["not JSON"]
        found = []
        if event.get("routing_key") not in self.keys:
            found.append("'routing_key' is invalid")
        if event.get("event_action") not in ("trigger", "acknowledge", "resolve"):
            found.append("'event_action' is invalid")
        if not 0 < len(event.get("dedup_key", "")) <= 255:
            found.append("'dedup_key' is missing or too long")
        if event.get("event_action") == "trigger":
            found += _payload_errors(event.get("payload") or {})
            found += ["'links' is invalid" for link in event.get("links", []) if not link.get("href")]
        return found


def _payload_errors(payload):
    found = [f"'payload.{name}' is missing" for name in ("summary", "source", "severity") if not payload.get(name)]
    if len(payload.get("summary", "")) > 1024:
        found.append("'payload.summary' is too long")
    if payload.get("severity") not in SEVERITIES:
        found.append("'payload.severity' is invalid")
    try:
        datetime.fromisoformat(payload["timestamp"])
    except (KeyError, ValueError):
        found.append("'payload.timestamp' is invalid")
    return found
