"""What docs/notifications.md shows works: the template, its names, the receiver's check, the kinds and reasons."""

import re
import time
import typing
from pathlib import Path
from typing import Any

from remediation.notifiers.delivery_settings import Reason
from remediation.notifiers.webhook_signature import signed_headers, signing_key
from remediation.notifiers.webhook_template import NAMES, load_template
from sentinel.notifications import NotificationKind
from tests.remediation.test_notif_template import values

PAGE = (Path(__file__).parents[2] / "docs" / "notifications.md").read_text()


def block(language):
    [found] = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return found


def test_the_template_works(tmp_path):
    file = tmp_path / "body.json"
    file.write_text(block("json"))
    body = load_template(file, {})(values())
    assert body["summary"] == "errors at checkout (error)"
    assert body["approve"] is None


def test_all_names_are_listed():
    listed = PAGE[PAGE.index("Names: ") :].split("\n\n")[0]
    top, incident, approval = re.split(r"`(?:incident|approval)\.`", listed)
    found = {"": top, "incident.": incident, "approval.": approval}
    assert {prefix + name for prefix, text in found.items() for name in re.findall(r"`(\w+)`", text)} == NAMES


def test_a_receiver_that_checks_as_shown_takes_ours_and_nothing_else():
    names: dict[str, Any] = {}
    exec(block("python"), names)  # noqa: S102 the page's own code
    secret = "a secret of twenty-four bytes"
    headers = signed_headers(signing_key(secret, "x"), "ntf-1", b"{}", time.time())
    assert names["is_ours"](secret.encode(), headers, b"{}")
    assert not names["is_ours"](secret.encode(), headers, b"{ }")
    assert not names["is_ours"](b"another", headers, b"{}")
    old = signed_headers(signing_key(secret, "x"), "ntf-1", b"{}", time.time() - 400)
    assert not names["is_ours"](secret.encode(), old, b"{}")


def test_every_kind_and_every_reason_is_explained():
    table = PAGE[PAGE.index("## What is told") : PAGE.index("## PagerDuty")]
    assert {
        name for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)
    } == {kind.value for kind in NotificationKind}
    for reason in typing.get_args(Reason):
        assert f"`{reason}`" in PAGE[PAGE.index("## PagerDuty") :]
