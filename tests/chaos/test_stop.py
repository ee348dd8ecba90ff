"""SIGTERM: the work under way is finished, a snapshot is taken, and after the next start nothing is done again."""

from __future__ import annotations

import time

import pytest

from tests.e2e.judgement import end_of_story
from tests.e2e.topics import Tap, tapped
from tests.e2e.world import SERVICE, open_world

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(180)]


def test_sigterm_drains_and_nothing_is_repeated(kafka_broker, tmp_path):
    with open_world(tmp_path, kafka_broker.bootstrap) as world:
        world.up()
        world.run_fleet()
        world.live()
        with tapped(world.settings) as tap:
            world.fleet.set_clock(paused=False)
            world.fleet.inject("bad_deploy", SERVICE)
            asked = world.until("a question", world.asked)
            seconds = stop(world)
            assert seconds < 10, f"the stop took {seconds:.1f} s"
            before = said(tap)
            world.fleet.set_clock(paused=True)
            world.up()
            assert world.asked() == asked
            world.fleet.set_clock(paused=False)
            world.approve(asked)
            world.until("the outcome", lambda: tap.read().outcomes)
            assert stop(world) < 10
            world.up()
            end_of_story(world, tap)
            assert stop(world) < 10
            after = said(tap)
        assert len(after) > len(before) > 0
        repeated = sorted({one for one in after if after.count(one) > 1})
        assert not repeated, f"said again after a start: {repeated[:5]}"


def stop(world) -> float:
    """SIGTERM to `up`; returns the seconds until it had ended, with exit code 0."""
    began = time.monotonic()
    assert world.processes["up"].stop(seconds=30) == 0, world.logs()
    world.note("up stopped")
    return time.monotonic() - began


def said(tap: Tap) -> list[str]:
    """What stands on the topics of the flows, by the ids that must not come twice."""
    tap.read(1.0)
    return [message.message_id for message in tap.alerts] + [f"{one.id}/{one.revision}" for one in tap.incidents]
