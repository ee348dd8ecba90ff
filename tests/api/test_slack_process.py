"""The API as a process of its own: a click on a card that another process sent, and the secrets stay out of the log."""

import os
import sys
import time
from pathlib import Path

import pytest

from remediation.notifiers.protocol import Notice
from remediation.notifiers.slack import SlackNotifier
from sentinel.cli.bootstrap import sql_of
from sentinel.cli.settings import load_settings
from sentinel.slack_blocks import APPROVE
from tests.contracts.sql.samples import incident, request
from tests.services.processes import Process, answers, free_port
from tests.services.slack_double import APP_TOKEN, SECRET, TOKEN, SlackDouble
from tests.services.slack_rules import texts

pytestmark = pytest.mark.slow
SENTINEL = Path(sys.executable).with_name("sentinel")
CONFIG = """
state_dir: {folder}/state
api: {{port: {port}}}
slack: {{channel: C0MAIN, mode: {mode}, token: "${{T}}", signing_secret: "${{S}}", app_token: "${{A}}",
  users: {{U0ANN: approver}}, base_url: "{url}", poll: 0.1}}
"""


@pytest.fixture
def slack():
    double = SlackDouble()
    double.add_user("U0ANN")
    yield double
    double.close()


@pytest.mark.parametrize("mode", ["http", "socket"])
def test_a_click_reaches_the_api_and_the_card_shows_it(slack, tmp_path, mode):
    port, file = free_port(), tmp_path / "sentinel.yaml"
    file.write_text(CONFIG.format(folder=tmp_path, port=port, url=slack.url, mode=mode))
    env = {**os.environ, "T": TOKEN, "S": SECRET, "A": APP_TOKEN}
    settings = load_settings(file, env)
    log = tmp_path / "api.log"
    with sql_of(settings) as stores:
        api = Process([str(SENTINEL), "-c", str(file), "api"], log=log, env=env)
        api.start(lambda: answers(port))
        try:
            notifier = SlackNotifier(settings.slack, stores, time.time)
            stores.incidents.upsert(incident())
            asked = stores.approvals.create(request(requested_at=time.time(), expires_at=time.time() + 900))
            with notifier.sending():
                notifier.notify(Notice(incident_id="inc-1", kind="asked", text="", trace_id="", request=asked))
                wait_for(slack.cards)
                if mode == "socket":
                    slack.sockets.wait_open()
                    slack.press(None, slack.cards()[0], APPROVE, "U0ANN")
                else:
                    answer = slack.press(f"http://127.0.0.1:{port}", slack.cards()[0], APPROVE, "U0ANN")
                    assert answer.status_code == 200
                wait_for(lambda: "*Approve* by <@U0ANN>" in "\n".join(texts(slack.cards()[0]["blocks"])))
        finally:
            code = api.stop()
    assert code == 0
    assert len(slack.cards()) == 1
    written = log.read_text()
    assert TOKEN not in written
    assert APP_TOKEN not in written
    assert SECRET not in written


def wait_for(check, seconds=20.0):
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)
