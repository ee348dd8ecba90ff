"""`sentinel approvals approve|reject` and `sentinel keys new`: an answer over a real API, and what each refusal exits with."""

from __future__ import annotations

import io
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import structlog
import yaml

from sentinel import logs
from sentinel.approvals import ApprovalStatus
from sentinel.cli import bootstrap
from sentinel.cli.settings import load_settings
from tests.cli.running import configuration, parsed, sentinel, stores_of
from tests.contracts.sql import samples
from tests.services.processes import answers, free_port

pytestmark = pytest.mark.slow


@dataclass
class Served:
    """A configuration whose API runs, and the keys that it knows, by role."""

    config: Path
    keys: dict[str, str]

    def answer(self, *arguments: str, role: str = "approver"):
        """`sentinel approvals ARGUMENTS` with the key of this role."""
        return sentinel("-c", self.config, "approvals", *arguments, env={"SENTINEL_API_KEY": self.keys[role]})

    def status(self, request_id: str = "apr-1") -> str:
        """The state of a request, as the command line reads it."""
        return str(parsed(sentinel("-c", self.config, "approvals", "show", request_id, "--json"))["status"])


def new_key(name: str, role: str) -> tuple[str, dict[str, object]]:
    """What `sentinel keys new` prints: the key, and its lines for the configuration."""
    shown = sentinel("keys", "new", name, "--role", role).stdout
    key = re.search(r"^  (snt_\S{43})$", shown, re.MULTILINE)
    assert key, shown
    return key[1], yaml.safe_load(shown[shown.index("api:") :])["api"]["keys"][0]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """The API of a small state, with a key of each role that `sentinel keys new` made."""
    made = {role: new_key(f"the-{role}", role) for role in ("viewer", "approver")}
    port = free_port()
    config = configuration(tmp_path, api={"port": port, "keys": [lines for _, lines in made.values()]})
    logs.configure(level="error", stream=io.StringIO())
    settings, stop = load_settings(config), threading.Event()
    with stores_of(config) as stores:
        stores.incidents.upsert(samples.incident())
        now = time.time()
        stores.approvals.create(samples.request(requested_at=now, expires_at=now + 600))
        api = threading.Thread(target=bootstrap.run_api, args=(settings, stores, None, stop))
        api.start()
        while not answers(port):
            assert api.is_alive()
            time.sleep(0.02)
        yield Served(config, {role: key for role, (key, _) in made.items()})
        stop.set()
        api.join(20)
    structlog.reset_defaults()


def test_an_answer_needs_a_key(tmp_path: Path) -> None:
    result = sentinel("-c", configuration(tmp_path), "approvals", "approve", "apr-1")
    assert result.exit_code == 2
    assert "SENTINEL_API_KEY" in result.stderr
    assert "sentinel keys new" in result.stderr


def test_a_dead_api_exits_with_4_and_names_its_address(tmp_path: Path) -> None:
    port = free_port()
    config = configuration(tmp_path, api={"port": port})
    result = sentinel("-c", config, "approvals", "reject", "apr-1", env={"SENTINEL_API_KEY": "some"})
    assert result.exit_code == 4
    assert f"127.0.0.1:{port}" in result.stderr


def test_a_request_is_approved_once_for_the_digest_that_was_shown(served: Served) -> None:
    result = served.answer("approve", "apr-1", "--reason", "looks right", "--digest", samples.DIGEST)
    assert result.exit_code == 0, result.stderr
    assert f"apr-1: approve by the-approver for digest {samples.DIGEST[:12]}" in result.stdout
    assert served.status() == ApprovalStatus.APPROVED
    [record] = parsed(sentinel("-c", served.config, "audit", "list", "--json", "--action", "approval.approve"))
    assert (record["actor"], record["reason"]) == ("the-approver", "looks right")
    other = served.answer("reject", "apr-1")
    assert other.exit_code == 3
    assert "already_decided" in other.stderr


def test_without_a_digest_the_present_one_is_meant(served: Served) -> None:
    assert served.answer("reject", "apr-1", "-r", "not now").exit_code == 0
    assert served.status() == ApprovalStatus.REJECTED


def test_an_unknown_id_exits_with_1(served: Served) -> None:
    result = served.answer("approve", "apr-9")
    assert result.exit_code == 1
    assert "apr-9" in result.stderr


def test_another_digest_is_refused_with_3(served: Served) -> None:
    result = served.answer("approve", "apr-1", "--digest", "0" * 64)
    assert result.exit_code == 3
    assert "wrong_digest" in result.stderr
    assert served.status() == ApprovalStatus.PENDING


def test_a_role_that_may_not_and_a_key_that_nobody_has_are_refused_with_3(served: Served) -> None:
    weak = served.answer("approve", "apr-1", role="viewer")
    assert weak.exit_code == 3
    assert "role" in weak.stderr
    served.keys["stranger"] = "snt_made_up"
    unknown = served.answer("approve", "apr-1", role="stranger")
    assert unknown.exit_code == 3
    assert "authentication" in unknown.stderr
    assert served.status() == ApprovalStatus.PENDING


def test_a_new_key_opens_the_api_and_its_hash_does_not(served: Served) -> None:
    url = f"http://127.0.0.1:{load_settings(served.config).api.port}/api/v1/incidents"
    key = load_settings(served.config).api.keys[0]
    codes = [
        httpx.get(url, headers={"Authorization": f"Bearer {text}"}, trust_env=False).status_code
        for text in (served.keys["viewer"], key.sha256)
    ]
    assert codes == [200, 401]


def test_two_keys_are_never_the_same_and_a_role_must_exist() -> None:
    assert new_key("a", "viewer")[0] != new_key("a", "viewer")[0]
    assert sentinel("keys", "new", "a", "--role", "owner").exit_code == 2


def test_an_edit_is_asked_for_and_shown(served: Served) -> None:
    result = served.answer("edit", "apr-1", "1", "version=v0", "--reason", "older is fine")
    assert result.exit_code == 0, result.stderr
    assert "the-approver wants version=v0 in step 1" in result.stdout
    wrong = served.answer("edit", "apr-1", "1", "replicas=9")
    assert wrong.exit_code == 3
    assert "unknown_parameter" in wrong.stderr
    assert served.answer("edit", "apr-1", "1", "version").exit_code == 2


def test_a_final_rejection_is_written_as_such(served: Served) -> None:
    assert served.answer("reject", "apr-1", "--reason", "never", "--final").exit_code == 0
    [record] = parsed(sentinel("-c", served.config, "audit", "list", "--json", "--action", "approval.reject"))
    assert record["details"]["final"] is True
