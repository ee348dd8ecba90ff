"""The demo's stand-in for Slack takes what the real sender sends, and its picture shows what was sent."""

import time
from contextlib import closing

import pytest

from remediation.notifiers.protocol import Notice
from remediation.notifiers.slack import SlackNotifier
from sentinel.cli.demo.card_picture import WIDTH, draw_card
from sentinel.cli.demo.card_text import Style, pieces
from sentinel.cli.demo.slack_stand_in import SlackStandIn
from sentinel.errors import TransientError
from sentinel.slack_blocks import APPROVE
from sentinel.slack_settings import SlackSettings
from sentinel.stores.sql.database import Database
from sentinel.stores.sql.migrate import migrate
from sentinel.stores.sql.stores import SqlStores
from tests.api.conftest import Clock, serve
from tests.contracts.sql.samples import DIGEST, alert_message, incident, request

__all__ = ["serve"]


@pytest.fixture
def stores(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/s.db")
    with closing(SqlStores.over(database)) as made:
        migrate(database)
        made.incidents.upsert(incident())
        made.alerts.add([alert_message(value=0.4)])
        yield made


@pytest.fixture
def stand_in():
    made = SlackStandIn("a-secret")
    with made.serving():
        yield made


@pytest.mark.slow
def test_the_real_sender_posts_pictures_and_updates_and_the_click_is_signed(stores, stand_in, serve, tmp_path):
    settings = SlackSettings.model_validate(stand_in.settings())
    asked = stores.approvals.create(request(expires_at=time.time() + 900.0))
    notifier = SlackNotifier(settings, stores, Clock())
    notifier.notify(Notice(incident_id="inc-1", kind="asked", text="", trace_id="", request=asked))
    while notifier.senders[settings.channel].step():
        pass
    card = stand_in.card_of("inc-1")
    assert card is not None
    assert card.headers == ["Approval wanted: checkout: errors"]
    assert card.button(APPROVE) == f"apr-1:{DIGEST}"
    assert stand_in.files[card.picture].startswith(b"\x89PNG")
    draw_card(card.blocks, stand_in.files, tmp_path / "card.png")
    api = serve(slack=settings)
    api.clock.at = time.time()
    with pytest.raises(TransientError, match="401"):
        SlackStandIn("guessed").press(api.url, card, APPROVE)
    assert stores.approvals.decision("apr-1") is None
    stand_in.press(api.url, card, APPROVE)
    end = time.monotonic() + 10
    while stores.approvals.decision("apr-1") is None and time.monotonic() < end:
        time.sleep(0.01)
    assert stores.approvals.decision("apr-1").actor == "slack:U0DEMO"
    while notifier.senders[settings.channel].step():
        pass
    assert card.headers[-1] == "Approved: checkout: errors"
    assert card.button(APPROVE) == ""
    picture = read(tmp_path / "card.png")
    assert picture.width == 2 * WIDTH
    # Approve's green and the plot's blue are there: the picture is of this card.
    assert {(0, 122, 90), (31, 78, 121)} <= {colour for _, colour in picture.getcolors(maxcolors=200_000)}


def read(path):
    image = pytest.importorskip("PIL.Image", reason="the extra `plots` is not installed")
    with image.open(path) as picture:
        return picture.convert("RGB")


def test_markup_is_read_as_slack_reads_it():
    found = list(pieces("```- a: 1\n+ a: &lt;2&gt;```*b* `c` <!date^0^{date_short_pretty}|0> &amp;lt;"))
    assert [(piece.text, piece.style) for piece in found] == [
        ("- a: 1\n+ a: <2>", Style.BLOCK),
        ("b", Style.BOLD),
        (" ", Style.PLAIN),
        ("c", Style.CODE),
        (" ", Style.PLAIN),
        ("Jan 01, 1970 00:00:00 UTC", Style.PLAIN),
        (" &lt;", Style.PLAIN),
    ]
