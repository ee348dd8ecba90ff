"""The configuration in docs/slack.md is one, and what the page relies on is refused when it is missing."""

import re
from pathlib import Path

import pytest

from sentinel.cli.settings import load_settings
from sentinel.errors import ConfigError

PAGE = Path(__file__).parents[2] / "docs" / "slack.md"
SECRETS = {"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_SIGNING_SECRET": "s"}


def written(tmp_path, text):
    path = tmp_path / "sentinel.yaml"
    path.write_text(text)
    return path


def documented():
    [block] = re.findall(r"```yaml[^\n]*\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return block


def test_the_documented_configuration_is_one(tmp_path):
    slack = load_settings(written(tmp_path, documented()), SECRETS).slack
    assert slack.on
    assert slack.channel_for(("web", "payments")) == "C0456PAY"
    assert slack.channel_for(("web",)) == slack.channel_for(()) == "C0123ABCD"
    assert slack.card_channels == ("C0123ABCD", "C0456PAY")
    assert "xoxb-1" not in repr(slack) + slack.model_dump_json()


@pytest.mark.parametrize("key", ["token", "signing_secret"])
def test_a_channel_without_a_secret_is_refused(tmp_path, key):
    text = "\n".join(line for line in documented().splitlines() if not line.strip().startswith(f"{key}:"))
    with pytest.raises(ConfigError, match=rf"slack\.{key} is needed"):
        load_settings(written(tmp_path, text), SECRETS)


def test_socket_mode_needs_its_own_token_and_no_signing_secret(tmp_path):
    text = documented().replace(
        "  signing_secret: ${SLACK_SIGNING_SECRET}", "  mode: socket\n  app_token: ${SLACK_APP_TOKEN}"
    )
    slack = load_settings(written(tmp_path, text), {**SECRETS, "SLACK_APP_TOKEN": "xapp-1"}).slack
    assert (slack.over_socket, slack.over_http) == (True, False)
    assert "xapp-1" not in repr(slack) + slack.model_dump_json()
    with pytest.raises(ConfigError, match=r"slack\.app_token is needed"):
        load_settings(written(tmp_path, text.replace("  app_token: ${SLACK_APP_TOKEN}", "")), SECRETS)


def test_the_picture_on_the_page_is_there():
    [picture] = re.findall(r"!\[[^\]]*\]\(([^)]*)\)", PAGE.read_text())
    assert (PAGE.parent / picture).read_bytes().startswith(b"\x89PNG")


def test_names_in_place_of_ids_are_refused(tmp_path):
    for old, new in (("C0123ABCD", "'#ops'"), ("U0123ANN", "ann")):
        with pytest.raises(ConfigError):
            load_settings(written(tmp_path, documented().replace(old, new)), SECRETS)


def test_as_shipped_it_is_off():
    assert not load_settings(None).slack.on
