"""Socket Mode: the same requests as over HTTP, over a connection that the API opens to Slack. For where Slack reaches nothing.

Slack acknowledges by envelope: what was not acknowledged comes again, and what comes again after it was done is not done
again (`SlackApp.take`). Slack closes connections as it likes; the library opens another before or after.
"""

from __future__ import annotations

import http.client
import json
import random
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackClientError
from slack_sdk.socket_mode.builtin import SocketModeClient
from slack_sdk.socket_mode.client import BaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse

from api.deciding import Exchange
from api.parts import ApiParts
from api.slack_app import RETRY_HEADER, SlackApp
from sentinel.canonical import digest
from sentinel.errors import SentinelError, TransientError
from sentinel.logs import get_logger
from sentinel.slack_settings import SlackSettings

RETRY_FIRST, RETRY_MAX = 0.5, 30.0
"""Seconds until the first connection is tried again: after the first failure, and at most."""
PING = 2.0
"""Seconds between two looks at the connection: a broken one is replaced then, a silent one after four."""

log = get_logger("api")


class SlackSocket:
    """Listens to one app of one workspace."""

    def __init__(self, settings: SlackSettings, parts: ApiParts) -> None:
        """Connects to nothing; `settings.over_socket` must hold."""
        self._settings = settings
        self._app = SlackApp(settings, parts)
        self._client: SocketModeClient | None = None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listen in the background meanwhile. Slack being away stops nothing: the connection is tried again."""
        stop = threading.Event()
        thread = threading.Thread(target=self._run, args=(stop,), name="slack-socket")
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def check(self) -> str:
        """Say that there is a connection; `TransientError` while there is none."""
        if self._client is None or not self._client.is_connected():
            raise TransientError("no connection to Slack: clicks are not heard; the API and the command line work")
        return "connected"

    def _run(self, stop: threading.Event) -> None:
        self._client = self._open_client()
        pause = RETRY_FIRST
        while not stop.is_set():
            try:
                self._client.connect()
                break
            except (SlackClientError, OSError, http.client.HTTPException) as error:
                log.warning("slack_socket_not_connected", error=str(error))
                stop.wait(pause * random.uniform(0.5, 1.0))
                pause = min(2 * pause, RETRY_MAX)
        stop.wait()
        _hang_up(self._client)

    def _open_client(self) -> SocketModeClient:
        settings = self._settings
        web = WebClient(base_url=settings.base_url, timeout=settings.timeout, retry_handlers=[])
        token = settings.app_token.get_secret_value()
        client = SocketModeClient(app_token=token, web_client=web, ping_interval=PING, concurrency=4)
        client.socket_mode_request_listeners.append(self._receive)
        return client

    def _receive(self, client: BaseSocketModeClient, request: SocketModeRequest) -> None:
        """One envelope. It is acknowledged when Bolt has taken it; while the database is away it is not, and comes again."""
        headers = {} if request.retry_attempt is None else {RETRY_HEADER: str(request.retry_attempt)}
        exchange = Exchange(request.envelope_id, "")
        try:
            answer = self._app.take(request.payload, headers, digest(request.payload), exchange, "socket_mode")
        except SentinelError as error:
            log.warning("slack_envelope_not_taken", error=str(error))
            return
        if answer.status == http.client.OK:
            payload: dict[str, Any] | None = json.loads(answer.body) if answer.body else None
            client.send_socket_mode_response(SocketModeResponse(request.envelope_id, payload))


def _hang_up(client: SocketModeClient) -> None:
    """Close for good. The library's reader would hold the connection's lock for three more seconds of silence."""
    client.auto_reconnect_enabled = False
    session = client.current_session
    if session is not None and session.sock is not None:
        with suppress(OSError):
            session.sock.shutdown(socket.SHUT_RDWR)
    client.close()
