"""moto's server as a process of its own, and a proxy in front of it that misbehaves on request.

moto is faithful on errors, dry runs, stop and start. It is not on roll-outs (every task runs at once) nor on reboots (they
leave no trace), so the proxy can hold an answer back in time (`lag`), and counts what reached moto (`effects`).
"""

from __future__ import annotations

import http.client
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from tests.services.processes import Process, answers, free_port

KINDS = ("throttle", "error", "denied", "unsent", "lost", "slow", "expired")
"""`throttle`, `error` (500), `denied`, `expired`: answered without reaching moto. `unsent`: the connection ends before
the call reaches moto. `lost`: it ends after moto has done it. `slow`: moto's answer comes after `seconds`."""

_ERRORS = {
    "throttle": (400, "Throttling", "Rate exceeded"),
    "error": (500, "InternalFailure", "it fell over"),
    "denied": (403, "AccessDenied", "you may not"),
    "expired": (400, "ExpiredToken", "the token has expired"),
}
_LOOKS = ("DescribeInstances", "DescribeServices", "DescribeAutoScalingGroups")
_CHANGES = ("RebootInstances", "StopInstances", "StartInstances", "UpdateService", "SetDesiredCapacity")


@dataclass
class AwsDouble:
    """The proxy's state. `faults` by operation: kinds in order, one for each of its next calls; empty text for none.

    `lag` answers show as under way what is done; `impaired` shows failing status checks, `rollout` a state of roll-outs.
    `calls` are the operations asked for, `signers` who signed them, `effects` the changes that moto made.
    `replaced` by operation: answers that are given instead of moto's, one for each call; empty text for moto's own.
    `stale` answers to looks are the last ones from before: AWS is only in the end consistent.
    `meanwhile` is called once before the next call of an operation reaches moto: what somebody else does just then.
    """

    moto_port: int
    port: int
    faults: dict[str, list[str]] = field(default_factory=dict)
    meanwhile: dict[str, Callable[[], object]] = field(default_factory=dict)
    seconds: float = 0.0
    lag: int = 0
    stale: int = 0
    impaired: bool = False
    rollout: str = ""
    replaced: dict[str, list[str]] = field(default_factory=dict)
    seen: dict[str, bytes] = field(default_factory=dict)
    signers: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    effects: Counter[str] = field(default_factory=Counter)

    @property
    def url(self) -> str:
        """What clients take as endpoint."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def behind(self) -> str:
        """The address of moto itself, for tests that prepare or look without being counted."""
        return f"http://127.0.0.1:{self.moto_port}"

    def reset(self) -> None:
        """No faults, nothing counted."""
        self.faults.clear()
        self.meanwhile.clear()
        self.calls.clear()
        self.effects.clear()
        self.signers.clear()
        self.seen.clear()
        self.replaced.clear()
        self.seconds, self.lag, self.stale, self.impaired, self.rollout = 0.0, 0, 0, False, ""

    def fault(self, operation: str) -> str:
        """The fault of this call; used up by it."""
        waiting = self.faults.get(operation)
        return waiting.pop(0) if waiting else ""


def operation_of(headers: Any, body: bytes) -> str:
    """The name of the operation that a request asks for."""
    if target := headers.get("X-Amz-Target"):
        return str(target).rpartition(".")[2]
    return parse_qs(body.decode()).get("Action", [""])[0]


class _Proxy(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    double: AwsDouble

    def do_POST(self) -> None:
        double = self.double
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        operation = operation_of(self.headers, body)
        double.calls.append(operation)
        double.signers.append(self.headers.get("Authorization", "").partition("Credential=")[2].partition("/")[0])
        fault = double.fault(operation)
        if fault == "unsent":
            self._drop()
        elif fault in _ERRORS:
            self._refuse(body, *_ERRORS[fault])
        else:
            if operation in double.meanwhile:
                double.meanwhile.pop(operation)()
            status, headers, answer = self._forward(body)
            dry = b"DryRun=true" in body
            if operation in _CHANGES and status == 200 and not dry:
                double.effects[operation] += 1
            if fault == "slow":
                time.sleep(double.seconds)
            if fault == "lost":
                self._drop()
            else:
                answer = self._stale(operation, answer)
                self._answer(status, headers, self._lagging(operation, self._bad(operation, answer)))

    def _forward(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.double.moto_port, timeout=30)
        try:
            kept = {key: value for key, value in self.headers.items() if key.lower() != "host"}
            # moto tells services and regions apart by the signature alone.
            connection.request("POST", self.path, body, {**kept, "Host": f"127.0.0.1:{self.double.moto_port}"})
            response = connection.getresponse()
            return response.status, dict(response.getheaders()), response.read()
        finally:
            connection.close()

    def _stale(self, operation: str, answer: bytes) -> bytes:
        """The answer from before a change, as long as there are stale ones left."""
        double = self.double
        if waiting := double.replaced.get(operation):
            return waiting.pop(0).encode() or answer
        if operation not in _LOOKS:
            return answer
        if double.stale and double.effects and operation in double.seen:
            double.stale -= 1
            return double.seen[operation]
        if not double.effects:
            double.seen[operation] = answer
        return answer

    def _bad(self, operation: str, answer: bytes) -> bytes:
        """What moto never shows."""
        if operation == "DescribeInstanceStatus" and self.double.impaired:
            return answer.replace(b"<status>ok</status>", b"<status>impaired</status>")
        if operation == "DescribeServices" and self.double.rollout:
            return answer.replace(b'"IN_PROGRESS"', f'"{self.double.rollout}"'.encode())
        return answer

    def _lagging(self, operation: str, answer: bytes) -> bytes:
        """What moto calls done is shown as under way in the next `lag` answers."""
        changed = answer
        if operation == "DescribeServices":
            changed = _slower_tasks(answer)
        elif operation == "DescribeInstances":
            changed = answer.replace(b"<name>stopped</name>", b"<name>stopping</name>")
            changed = changed.replace(b"<name>running</name>", b"<name>pending</name>")
        elif operation == "DescribeAutoScalingGroups":
            changed = answer.replace(b"<LifecycleState>InService<", b"<LifecycleState>Pending<")
        if changed == answer or not self.double.lag or not self.double.effects:
            return answer
        self.double.lag -= 1
        return changed

    def _refuse(self, request: bytes, status: int, code: str, message: str) -> None:
        if self.headers.get("X-Amz-Target"):
            body = json.dumps({"__type": code, "message": message}).encode()
            self._answer(status, {"Content-Type": "application/x-amz-json-1.1"}, body)
            return
        text = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
        ec2 = b"Version=2016-11-15" in request
        wrapped = f"<Response><Errors>{text}</Errors></Response>" if ec2 else f"<ErrorResponse>{text}</ErrorResponse>"
        self._answer(status, {"Content-Type": "text/xml"}, wrapped.encode())

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in ("content-length", "connection", "date", "server", "x-amz-crc32"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _drop(self) -> None:
        self.close_connection = True
        self.connection.shutdown(2)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        """Requests are not worth a line each."""


def _slower_tasks(answer: bytes) -> bytes:
    found = json.loads(answer)
    for service in found["services"]:
        service["runningCount"] = 0
        service["pendingCount"] = service["desiredCount"]
    return json.dumps(found).encode()


@contextmanager
def serve_moto(folder: Path) -> Iterator[int]:
    """Starts moto's server on loopback, until the end of the context; gives its port. It takes some seconds."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    moto = Process(command, folder / "moto.log")
    moto.start(lambda: answers(port))
    try:
        yield port
    finally:
        moto.stop()


@contextmanager
def serve_aws(moto_port: int) -> Iterator[AwsDouble]:
    """A proxy of one's own in front of moto, until the end of the context."""
    port = free_port()
    double = AwsDouble(moto_port, port)
    handler = type("Proxy", (_Proxy,), {"double": double})
    server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield double
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
