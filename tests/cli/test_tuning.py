"""`sentinel preview`, `backtest` and `diff` on recorded files, as a person who tunes a noisy rule runs them."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import numpy as np
import pytest

from tests.cli.running import ROOT, parsed, sentinel, sentinel_process

START = 1_700_000_000 // 3600 * 3600
NOISY = """
detection:
  vectors: {}
  rules:
    errors: {match: {names: ["error*"]}, unless: [], for: 1 of 1, min_absolute: MINIMUM}
    depth: {match: {names: ["*"], labels: {service: "cart"}}}
"""


FILL = """
import sys, time
from pathlib import Path
import numpy as np
from sentinel.cli.bootstrap import history_of
from sentinel.cli.settings import load_settings
from sentinel.series import Series
from sentinel.stores.history.protocol import Points

settings = load_settings(Path(sys.argv[1]))
settings.state.mkdir()
times = time.time() - 11 * 3600 + np.arange(0, 10 * 3600, 60.0)
values = np.where(np.arange(600) // 10 == 55, 0.9, 0.1 + 0.01 * np.sin(np.arange(600)))
with history_of(settings) as history:
    history.add_points(Points([Series.of("error_ratio", {"service": "cart"})] * 600, times, values))
"""
"""Fills the archive of a configuration, in a process of its own: the embedded history takes one path per process."""


@pytest.fixture
def recordings(tmp_path):
    """Two series with a spike each, one of them large and labelled; and two configurations."""
    folder = tmp_path / "recorded"
    (folder / "deep").mkdir(parents=True)
    for name, height in (("cart.csv", 0.8), ("deep/web.csv", 0.2)):
        times = START + np.arange(0, 12 * 3600, 60)
        values = 0.1 + 0.01 * np.sin(np.arange(len(times)))
        values[540:550] += height
        lines = [f"{time},{value}" for time, value in zip(times, values, strict=True)]
        (folder / name).write_text("\n".join(["timestamp,value", *lines]))
    (folder / "labels.json").write_text(
        json.dumps({"cart.csv": {"service": "cart", "metric": "error_ratio", "windows": []}})
    )
    (folder / "deep" / "labels.json").write_text(json.dumps({"web.csv": {"service": "web", "metric": "error_ratio"}}))
    (tmp_path / "faults.json").write_text(json.dumps({"cart.csv": [[START + 540 * 60, START + 551 * 60]]}))
    for name, minimum in (("loud", "0.05"), ("quiet", "0.5")):
        (tmp_path / f"{name}.yaml").write_text(NOISY.replace("MINIMUM", minimum))
    return tmp_path


def test_a_preview_says_what_a_rule_covers_and_would_have_sent(recordings):
    shown = sentinel("-c", recordings / "loud.yaml", "preview", "--rule", "errors", "--input", recordings / "recorded")
    assert shown.exit_code == 0, shown.stderr
    assert "Rule errors covers 2 of 2 series" in shown.stdout
    assert "Alerts of rule errors: 2" in shown.stdout
    data = parsed(
        sentinel(
            "-c", recordings / "loud.yaml", "preview", "--rule", "errors", "--input", recordings / "recorded", "--json"
        )
    )
    assert [alert["series"]["labels"] for alert in data["alerts"]] == [[["service", "cart"]], [["service", "web"]]]


def test_a_preview_names_the_earlier_rule_that_has_the_series(recordings):
    shown = sentinel("-c", recordings / "loud.yaml", "preview", "--rule", "depth", "--input", recordings / "recorded")
    assert "Rule depth covers 0 of 2 series" in shown.stdout
    assert "an earlier rule has" in shown.stdout


def test_a_preview_draws_the_noisiest_series(recordings):
    picture = recordings / "plot.png"
    sentinel(
        "-c",
        recordings / "loud.yaml",
        "preview",
        "--rule",
        "errors",
        "--input",
        recordings / "recorded",
        "--plot",
        picture,
    )
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_without_files_the_archive_is_looked_at(recordings, tmp_path):
    config = tmp_path / "archived.yaml"
    config.write_text(
        f"state_dir: {tmp_path / 'state'}\nstores: {{embedder: hashed}}\n" + NOISY.replace("MINIMUM", "0.05")
    )
    subprocess.run([sys.executable, "-c", FILL, str(config)], cwd=ROOT, check=True)
    shown = sentinel_process("-c", config, "preview", "--rule", "errors", "--days", "1")
    assert shown.returncode == 0, shown.stderr
    assert "Rule errors covers 1 of 1 series" in shown.stdout
    assert "Alerts of rule errors: 1" in shown.stdout
    empty = sentinel_process("-c", config, "backtest", "--days", "0.02")
    assert empty.returncode != 0
    assert "no events of the last 0.02 days" in empty.stderr


def test_an_unknown_rule_is_refused_with_the_known_ones(recordings):
    refused = sentinel("-c", recordings / "loud.yaml", "preview", "--rule", "eror", "--input", recordings / "recorded")
    assert refused.exit_code == 2
    assert "errors, depth" in refused.stderr


def test_a_backtest_measures_against_labels_and_writes_a_page(recordings):
    page = recordings / "report.html"
    arguments = ("--input", recordings / "recorded", "--labels", recordings / "faults.json", "--report", page)
    shown = sentinel("-c", recordings / "loud.yaml", "backtest", *arguments)
    assert shown.exit_code == 0, shown.stderr
    assert "1 of 1 labelled faults found, 1 of 2 alerts inside one: precision 50%, recall 100%" in shown.stdout
    html = page.read_text()
    assert "loud.yaml" in html
    assert "50%" in html
    assert html.count("data:image/png;base64,") == 2
    assert not re.search(r"(src|href)=.?https?:", html), "the page stands alone"
    quiet = parsed(sentinel("-c", recordings / "quiet.yaml", "backtest", *arguments[:4], "--json"))
    assert (quiet["quality"]["alerts"], quiet["quality"]["true"]) == (1, 1)


def test_a_difference_is_shown_and_can_fail_a_build(recordings):
    given = (recordings / "loud.yaml", recordings / "quiet.yaml", "--input", recordings / "recorded")
    shown = sentinel("diff", *given, "--max-gained", "0")
    assert shown.exit_code == 0, shown.stderr
    assert "2 alerts before, 1 after: 0 gained, 1 lost" in shown.stdout
    failed = sentinel("diff", *given, "--max-lost", "0")
    assert failed.exit_code == 1
    assert "1 alerts lost, at most 0 are allowed" in failed.stderr
    assert [alert["series"]["labels"] for alert in parsed(sentinel("diff", *given, "--json"))["lost"]] == [
        [["service", "web"]]
    ]


def test_bad_recordings_and_labels_say_where(recordings):
    (recordings / "bad.json").write_text('{"cart.csv": [["soon"]]}')
    refused = sentinel("backtest", "--input", recordings / "recorded", "--labels", recordings / "bad.json")
    assert refused.exit_code != 0
    assert "bad.json:1: labels are a JSON object" in refused.stderr
    (recordings / "recorded" / "broken.csv").write_text("timestamp,value\n1,x\n")
    refused = sentinel("backtest", "--input", recordings / "recorded")
    assert refused.exit_code != 0
    assert "broken.csv:2" in refused.stderr


def test_check_warns_of_rules_that_have_nothing_to_watch(recordings):
    config = recordings / "rules.yaml"
    rules = {
        name: {"match": {"names": [names]}}
        for name, names in (("all", "err*"), ("late", "error_ratio"), ("disk", "disk*"))
    }
    config.write_text(json.dumps({"detection": {"vectors": {}, "rules": rules}}))
    checked = sentinel("check", config, "--input", recordings / "recorded")
    assert checked.exit_code == 0, checked.stderr
    assert "detection.rules.late can never have a series: all, which stands before it" in checked.stderr
    assert "detection.rules.disk has none of the 2 recorded series: it matches none" in checked.stderr
    assert "warning" not in sentinel("check", recordings / "loud.yaml").stderr
