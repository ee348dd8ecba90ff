"""Logs are one JSON object per line, with the trace id, and without local variables."""

from __future__ import annotations

import io
import json
import logging

import pytest
import structlog

from sentinel import logs


@pytest.fixture(autouse=True)
def _as_before():
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    structlog.reset_defaults()


def lines(stream):
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_lines_carry_component_level_and_trace():
    stream = io.StringIO()
    logs.configure(stream=stream)
    log = logs.get_logger("part")
    with logs.trace("ab" * 16, incident="inc-1"):
        log.info("happened", number=3)
    log.debug("not seen")
    log.warning("later")
    first, second = lines(stream)
    assert first.pop("timestamp").endswith("Z")
    assert first == {
        "event": "happened", "component": "part", "level": "info", "number": 3, "trace_id": "ab" * 16, "incident": "inc-1",
    }  # fmt: skip
    assert "trace_id" not in second


def test_libraries_speak_the_same_form_from_warning_on():
    stream = io.StringIO()
    logs.configure(stream=stream)
    logging.getLogger("library").info("not seen")
    logging.getLogger("library").warning("%s away", "peer")
    assert [(line["event"], line["level"]) for line in lines(stream)] == [("peer away", "warning")]


def test_a_traceback_shows_no_local_variables():
    stream = io.StringIO()
    logs.configure(stream=stream)

    def fail(password):
        raise ValueError(len(password))

    try:
        fail("very" + "-secret")
    except ValueError:
        logs.get_logger("part").exception("failed")
    assert "ValueError: 11" in lines(stream)[0]["exception"]
    assert "very-secret" not in stream.getvalue()


def test_for_people_it_is_readable():
    stream = io.StringIO()
    logs.configure(stream=stream, pretty=True, level="debug")
    logs.get_logger("part").debug("hello", number=3)
    assert "hello" in stream.getvalue()
    assert not stream.getvalue().startswith("{")
