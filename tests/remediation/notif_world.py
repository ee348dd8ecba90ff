"""Queues over a small world: destinations are real ones over real HTTP, or one of a few lines that does what it is told."""

from collections import deque

from remediation.notifiers.delivery_settings import NotificationSettings
from remediation.notifiers.protocol import Notice
from remediation.notifiers.queue import QueueNotifier
from tests.remediation.world import CATALOGUE

PD_KEY, PD_KEY_0 = "R0ROUTINGKEYOFTHEDOUBLE0123456789", "R0ROUTINGKEYOFTIERZERO0123456789X"
TOKEN = "token-of-the-receiver"


class Obedient:
    """Wants everything; does what `todo` says for each delivery (an error to raise), then takes it."""

    deadline = 10.0

    def __init__(self, name="ops", todo=()):
        self.name, self.todo, self.got = name, deque(todo), []

    def wants(self, event, told):
        return True

    def deliver(self, notification, *, over, now):
        error = self.todo.popleft() if self.todo else None
        if error:
            raise error
        self.got.append((notification.event.incident.id, notification.event.kind.value, notification.id))


def queues(world, *destinations, **queue):
    return QueueNotifier(
        destinations, world.stores, CATALOGUE, NotificationSettings.model_validate({"queue": queue}), world.clock
    )


def send(notifier, name="ops"):
    """Let the sender do all that it can now; returns how many steps."""
    steps = 0
    while notifier.senders[name].step():
        steps += 1
    return steps


def notice(incident_id="inc-1", kind="recorded", key="", **more):
    return Notice(incident_id=incident_id, kind=kind, text=f"{kind} it", trace_id="0" * 31 + "7", key=key, **more)


def notification_settings(**sections):
    return NotificationSettings.model_validate(sections)
