"""What the suite of executors runs on: each implementation says what it acts on, and with which of its actions."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

from remediation.catalogue import Step, make_action
from remediation.executors.fleet import FleetExecutor
from remediation.executors.protocol import Executor
from remediation.settings import FleetSettings
from sentinel.catalogue import ServiceCatalogue
from sentinel.fleet.model import make_fleet
from sentinel.fleet.server import serve_fleet
from sentinel.fleet.settings import FleetSettings as RealFleetSettings
from sentinel.plans import Action, Scalar, Target
from tests.remediation.fleet_double import FleetDouble


def make(target: Target, kind: str, **params: Scalar) -> Action:
    """An action as a plan has it."""
    step = Step(type=kind, service=target.name, params=params, reason="test")
    return make_action(f"act-{kind}", step, target)


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One implementation, with a target that it can act on.

    `final` cannot be undone; `sized` gives a whole number to the field `size`; `undone` can each be undone, and the
    fields `kept` show it. `stranger` does not exist, and `unknown` is said of it.
    """

    executor: Executor
    target: Target
    stranger: Target
    unknown: str
    final: Action
    size: str
    sized: Callable[[int], Action]
    undone: tuple[Action, ...]
    kept: tuple[str, ...]
    sizes: tuple[int, ...] = field(default=(9, 6, 2, 11))
    """Four sizes that differ from each other and from the one at the start."""


CART = Target(backend="fleet", kind="service", name="cart")


def _fleet(executor: Executor) -> Subject:
    stranger = Target(backend="fleet", kind="service", name="no/body?x=1")

    def sized(replicas: int) -> Action:
        return make(CART, "scale", replicas=replicas)

    return Subject(
        executor=executor,
        target=CART,
        stranger=stranger,
        unknown="404",
        final=make(CART, "restart"),
        size="replicas",
        sized=sized,
        undone=(sized(11), make(CART, "rollback")),
        kept=("version", "replicas"),
    )


@contextmanager
def double() -> Iterator[Subject]:
    """The tests' own fleet of a few lines."""
    yield _fleet(FleetDouble("web", "cart").executor())


@contextmanager
def fleet() -> Iterator[Subject]:
    """The simulated fleet over HTTP."""
    catalogue = ServiceCatalogue.model_validate({"services": {"web": {"calls": ["cart"]}, "cart": {}}})
    with serve_fleet(make_fleet(catalogue, RealFleetSettings(), time.time), "127.0.0.1", 0) as url:
        yield _fleet(FleetExecutor(FleetSettings(url=url)))


SUBJECTS: dict[str, Callable[[], AbstractContextManager[Subject]]] = {"double": double, "fleet": fleet}
"""Every implementation; opened once for the suite."""
