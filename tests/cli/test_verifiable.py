"""A configuration in which no fix could be verified is refused at the start."""

from __future__ import annotations

import pytest
import yaml

from sentinel.cli.settings import load_settings
from sentinel.errors import ConfigError


def written(folder, clear_for, normal_windows, **more):
    content = {
        "detection": {"rules": {"errors": {"clear_for": clear_for, **more}}},
        "remediation": {"verification": {"normal_windows": normal_windows}},
    }
    file = folder / "sentinel.yaml"
    file.write_text(yaml.safe_dump(content))
    return file


@pytest.mark.parametrize("clear_for", [2, 3])
def test_an_alert_must_give_more_windows_than_verification_wants(tmp_path, clear_for):
    with pytest.raises(ConfigError, match=r"detection\.rules\.errors\.clear_for"):
        load_settings(written(tmp_path, clear_for, 3), {})


def test_what_can_be_verified_is_taken(tmp_path):
    assert load_settings(written(tmp_path, 4, 3), {}).detection.rules["errors"].clear_for == 4
    assert load_settings(written(tmp_path, 2, 3, shadow=True), {}).detection.rules["errors"].shadow


def test_the_shipped_defaults_can_be_verified():
    settings = load_settings(None, {})
    shortest = min(rule.clear_for for rule in settings.detection.rules.values())
    assert shortest > settings.remediation.verification.normal_windows
