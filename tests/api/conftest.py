"""A real server on a free port over real stores, with a clock that the test sets."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import httpx
import pytest

from api.app import create_app
from api.keys import hash_key
from api.parts import ApiParts
from api.server import run_api
from api.settings import ApiKeySettings, ApiSettings
from sentinel.api_client import ApiClient
from sentinel.approvals import Role
from sentinel.audit_chain import AuditRecord
from sentinel.health import Probe
from sentinel.slack_settings import SlackSettings
from sentinel.stores.history.protocol import SeriesHistory
from sentinel.stores.sql.stores import SqlStores
from tests.contracts.sql.conftest import database, database_url, sqlite_template, stores

__all__ = ["database", "database_url", "sqlite_template", "stores"]

KEYS = {role: f"key-of-the-{role.value}" for role in Role}


@dataclass
class Clock:
    """Wall time as the test wants it."""

    at: float = 150.0

    def __call__(self) -> float:
        return self.at


@dataclass
class Api:
    """A running server and the ways to call it."""

    url: str
    stores: SqlStores
    clock: Clock
    stop: threading.Event = field(default_factory=threading.Event)

    def http(self, role: Role | None = None, **headers: str) -> httpx.Client:
        """A plain client with the key of this role, or with none."""
        key = {"Authorization": f"Bearer {KEYS[role]}"} if role else {}
        return httpx.Client(base_url=self.url, headers={**key, **headers}, trust_env=False)

    def told(self) -> list[AuditRecord]:
        """The audit without the uses of keys."""
        return [record for record in self.stores.audit.records() if record.action != "api.login"]

    def client(self, role: Role | None = Role.APPROVER) -> ApiClient:
        """The typed client."""
        return ApiClient(self.url, KEYS[role] if role else "")


Serve = Callable[..., Api]


@pytest.fixture
def serve(stores: SqlStores) -> Iterator[Serve]:
    """Start servers over the stores: `serve(history=…, probes=…, **settings)`; all stop after the test."""
    running: list[tuple[Api, threading.Thread]] = []

    def start(
        history: SeriesHistory | None = None,
        probes: tuple[Probe, ...] = (),
        slack: SlackSettings | None = None,
        **settings: object,
    ) -> Api:
        clock, urls, stop = Clock(), queue.Queue[str](), threading.Event()
        keys = [ApiKeySettings(name=f"the-{role.value}", role=role, sha256=hash_key(key)) for role, key in KEYS.items()]
        config = ApiSettings.model_validate({"keys": keys, "probe_timeout": 0.5, **settings})
        parts = ApiParts(stores=stores, now=clock, history=history, probes=probes, slack=slack or SlackSettings())
        app = create_app(config, parts)
        thread = threading.Thread(
            target=run_api, args=(app, "127.0.0.1", 0, stop), kwargs={"ready": urls.put, "drain_seconds": 2}
        )
        thread.start()
        api = Api(urls.get(timeout=20), stores, clock, stop)
        running.append((api, thread))
        return api

    yield start
    for api, thread in running:
        api.stop.set()
        thread.join(20)
        assert not thread.is_alive()


@pytest.fixture
def api(serve: Serve) -> Api:
    """A server with default parts."""
    return serve()
