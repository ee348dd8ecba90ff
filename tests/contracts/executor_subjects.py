"""What the suite of executors runs on: each implementation says what it acts on, and with which of its actions."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from remediation.catalogue import Step, make_action
from remediation.executors.fleet import FleetExecutor
from remediation.executors.plugins import open_plugin
from remediation.executors.protocol import Executor
from remediation.settings import FleetSettings
from sentinel.catalogue import ServiceCatalogue
from sentinel.fleet.model import make_fleet
from sentinel.fleet.server import serve_fleet
from sentinel.fleet.settings import FleetSettings as RealFleetSettings
from sentinel.plans import Action, Scalar, Target
from tests.remediation.fleet_double import FleetDouble
from tests.remediation.plugin_package import files, install, replicas

Fixture = Callable[[str], Any]
"""Gives a fixture of the test run by its name."""


def make(target: Target, kind: str, **params: Scalar) -> Action:
    """An action as a plan has it."""
    step = Step(type=kind, service=target.name, params=params, reason="test")
    return make_action(f"act-{kind}", step, target)


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One implementation, with a target that it can act on.

    `deed` can be done at any time. `final` cannot be undone. Each of `changes` leads to the fields beside it, and leaves
    a state in which the next one changes something. Each of `undone` can be undone, and the fields `kept` show it.
    `stranger` does not exist, and `unknown` is said of it.
    """

    executor: Executor
    target: Target
    stranger: Target
    unknown: str
    deed: Action
    final: tuple[Action, ...]
    changes: tuple[tuple[Action, dict[str, Scalar]], ...]
    undone: tuple[Action, ...]
    kept: tuple[str, ...]


CART = Target(backend="fleet", kind="service", name="cart")


def _fleet(executor: Executor) -> Subject:
    stranger = Target(backend="fleet", kind="service", name="no/body?x=1")

    def sized(replicas: int) -> Action:
        return make(CART, "scale", replicas=replicas)

    restart = make(CART, "restart")
    return Subject(
        executor=executor,
        target=CART,
        stranger=stranger,
        unknown="404",
        deed=restart,
        final=(restart,),
        changes=tuple((sized(count), {"replicas": count}) for count in (9, 6)),
        undone=(sized(11), make(CART, "rollback")),
        kept=("version", "replicas"),
    )


@contextmanager
def double(fixture: Fixture) -> Iterator[Subject]:
    """The tests' own fleet of a few lines."""
    yield _fleet(FleetDouble("web", "cart").executor())


@contextmanager
def fleet(fixture: Fixture) -> Iterator[Subject]:
    """The simulated fleet over HTTP."""
    catalogue = ServiceCatalogue.model_validate({"services": {"web": {"calls": ["cart"]}, "cart": {}}})
    with serve_fleet(make_fleet(catalogue, RealFleetSettings(), time.time), "127.0.0.1", 0) as url:
        yield _fleet(FleetExecutor(FleetSettings(url=url)))


@contextmanager
def plugin(fixture: Fixture) -> Iterator[Subject]:
    """The executor of docs/executors.md, as an installed package: the page's own claim that it passes."""
    folder = fixture("tmp_path_factory").mktemp("plugin")
    target = Target(backend="replicas_file", kind="service", name="cart")
    site = str(install(folder, files()))
    sys.path.insert(0, site)
    try:
        yield Subject(
            executor=open_plugin("replicas_file", {"file": str(replicas(folder, cart=3))}),
            target=target,
            stranger=replace(target, name="nobody"),
            unknown="no service",
            deed=make(target, "scale", replicas=4),
            final=(),
            changes=tuple((make(target, "scale", replicas=count), {"replicas": count}) for count in (9, 6)),
            undone=(make(target, "scale", replicas=11),),
            kept=("replicas",),
        )
    finally:
        sys.path.remove(site)
        sys.modules.pop("replicas_file", None)
