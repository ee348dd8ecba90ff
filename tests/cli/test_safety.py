"""`sentinel kill-switch`: straight in the database to stop, through the API to let go."""

import pytest

from tests.cli.running import configuration, parsed, sentinel, stores_of


@pytest.fixture
def config(tmp_path):
    remediation = {"policy": {"kill_switch_file": "STOP"}}
    return configuration(tmp_path, api={"port": 1}, remediation=remediation)


@pytest.mark.parametrize("env", [{}, {"SENTINEL_API_KEY": "snt_x"}])
def test_on_works_without_a_key_and_without_the_api(config, env):
    done = sentinel("-c", config, "kill-switch", "on", "--reason", "storm", env=env)
    assert done.exit_code == 0
    assert ("instead" in done.output) == bool(env)
    shown = parsed(sentinel("-c", config, "kill-switch", "show", "--json"))
    assert shown["on"]
    assert shown["actor"].startswith("cli:")
    assert "on, by cli:" in sentinel("-c", config, "kill-switch", "show").stdout
    with stores_of(config) as stores:
        assert [record.action for record in stores.audit.records()] == ["kill_switch.on"]


def test_off_needs_the_api_and_a_key(config):
    assert sentinel("-c", config, "kill-switch", "off", "--reason", "over").exit_code == 2
    assert sentinel("-c", config, "kill-switch", "off", "-r", "over", env={"SENTINEL_API_KEY": "x"}).exit_code == 4
    assert sentinel("-c", config, "kill-switch", "on").exit_code == 2


def test_the_file_of_the_configuration_lies_below_the_state(config, tmp_path):
    assert not parsed(sentinel("-c", config, "kill-switch", "show", "--json"))["on"]
    (tmp_path / "state" / "STOP").touch()
    assert parsed(sentinel("-c", config, "kill-switch", "show", "--json"))["actor"] == "file"
