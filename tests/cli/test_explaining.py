"""`sentinel explain`: from the history itself, or through the API of the process that owns it."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sentinel.incidents import IncidentAlert
from sentinel.series import Series
from tests.cli.running import ROOT, configuration, parsed, sentinel, sentinel_process, stores_of
from tests.contracts.sql import samples
from tests.services.processes import Process, answers, free_port

pytestmark = pytest.mark.slow

START = datetime(2026, 11, 2, tzinfo=UTC)
FAULT = "2026-11-03T12:00:00Z"
KEY = "snt_explain"

FILL = """
import sys
import numpy as np
from pathlib import Path
from sentinel.cli.bootstrap import history_of
from sentinel.cli.settings import load_settings
from sentinel.series import Series
from sentinel.stores.history.protocol import Points

start, fault = float(sys.argv[2]), float(sys.argv[3])
series = Series.of("error_ratio", {"service": "cart"})
times = start + 60.0 * np.arange(2 * 1440)
values = 0.01 + 0.001 * np.random.default_rng(1).random(len(times))
values[(times >= fault) & (times < fault + 600)] = 0.4
with history_of(load_settings(Path(sys.argv[1]))) as history:
    history.add_points(Points([series] * len(times), times, values))
"""
"""Two days of error ratios of one service, with ten bad minutes."""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration whose embedded history holds the series, and whose API has one key."""
    folder = tmp_path_factory.mktemp("explain")
    keys = [{"name": "me", "role": "viewer", "sha256": hashlib.sha256(KEY.encode()).hexdigest()}]
    config = configuration(folder, api={"port": free_port(), "keys": keys}, stores={"embedder": "hashed"})
    moments = [str(START.timestamp()), str(datetime.fromisoformat(FAULT).timestamp())]
    subprocess.run([sys.executable, "-c", FILL, config, *moments], cwd=ROOT, check=True)
    return config


OWN = """
import sys
import threading
from pathlib import Path
from sentinel.cli.bootstrap import history_of, run_api, sql_of
from sentinel.cli.settings import load_settings
from sentinel.cli.supervision import stop_on_signals

settings = load_settings(Path(sys.argv[1]))
with stop_on_signals() as stop, sql_of(settings) as stores, history_of(settings) as history:
    run_api(settings, stores, history, stop)
"""
"""What `sentinel up` does with the history and the API, without a broker."""


@pytest.fixture
def owned(config: Path, tmp_path: Path) -> Iterator[Path]:
    """The same while another process owns the history and serves the API."""
    from sentinel.cli.settings import load_settings

    port = load_settings(config).api.port
    owner = Process([sys.executable, "-c", OWN, config], tmp_path / "owner.log", env={"PYTHONPATH": str(ROOT)})
    owner.start(lambda: answers(port))
    yield config
    assert owner.stop() == 0, owner.log_tail()


def test_a_window_that_alerted_is_explained(config: Path) -> None:
    result = sentinel_process("-c", config, "explain", "cart", "error_ratio", "--at", "2026-11-03T12:02:30Z")
    assert result.returncode == 0, result.stderr
    assert 'error_ratio{service="cart"}, window 2026-11-03 12:02:00 to 12:03:00 UTC' in result.stdout
    for part in ("rule errors", "0.4", "zscore: unusual", "firing"):
        assert part in result.stdout


def test_a_usual_window_is_explained_in_json(config: Path) -> None:
    result = sentinel_process("-c", config, "explain", "cart", "error_ratio", "--at", "2026-11-03T10:00:30", "--json")
    assert result.returncode == 0, result.stderr
    [found] = parsed(result)
    assert found["series"]["name"] == "error_ratio"
    assert found["window"]["start"] == datetime(2026, 11, 3, 10, 0, tzinfo=UTC).timestamp()
    assert (found["rule"], found["outcome"]) == ("errors", "usual")
    assert {word["detector"]: word["unusual"] for word in found["words"]}["zscore"] is False


def test_every_alert_of_an_incident_is_explained_at_its_firing(config: Path) -> None:
    fired = datetime.fromisoformat(FAULT).timestamp() + 120
    series = Series.of("error_ratio", {"service": "cart"})
    incident = samples.incident("inc-7")
    alert: IncidentAlert = replace(incident.alerts[0], series=series, fired_at=fired)
    with stores_of(config) as stores:
        stores.incidents.upsert(replace(incident, alerts=(alert,)))
    result = sentinel_process("-c", config, "explain", "inc-7")
    assert result.returncode == 0, result.stderr
    assert "window 2026-11-03 12:01:00 to 12:02:00 UTC" in result.stdout
    unknown = sentinel_process("-c", config, "explain", "inc-8")
    assert unknown.returncode == 1
    assert "sentinel incidents list" in unknown.stderr


def test_while_another_process_owns_the_history_its_api_is_asked(owned: Path) -> None:
    asked = ("-c", owned, "explain", "cart", "error_ratio", "--at", "2026-11-03T12:02:30Z")
    over_api = sentinel_process(*asked, env={"SENTINEL_API_KEY": KEY})
    assert over_api.returncode == 0, over_api.stderr
    assert "zscore: unusual" in over_api.stdout
    without = sentinel_process(*asked)
    assert without.returncode == 4
    for remedy in ("PID", "SENTINEL_API_KEY", "clickhouse://"):
        assert remedy in without.stderr
    wrong = sentinel_process(*asked, env={"SENTINEL_API_KEY": "wrong"})
    assert wrong.returncode == 1
    assert "authentication" in wrong.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["cart"], "name the metric and the time"),
        (["cart", "error_ratio"], "name the metric and the time"),
        (["cart", "error_ratio", "--at", "yesterday"], "is not an RFC 3339 time"),
    ],
    ids=str,
)
def test_what_is_left_out_is_asked_for(config: Path, arguments: list[str], said: str) -> None:
    result = sentinel_process("-c", config, "explain", *arguments)
    assert result.returncode == 2
    assert said in result.stderr


def test_an_unknown_series_exits_with_1(config: Path) -> None:
    result = sentinel_process("-c", config, "explain", "cart", "latency", "--at", FAULT)
    assert result.returncode == 1
    assert "no series 'latency' of service 'cart'" in result.stderr


def test_bad_arguments_are_refused_before_anything_is_opened(tmp_path: Path) -> None:
    assert sentinel("-c", configuration(tmp_path), "explain", "cart").exit_code == 2
    assert not (tmp_path / "state").exists()
