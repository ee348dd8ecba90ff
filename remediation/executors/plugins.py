"""Executors of your own: packages that declare an entry point of the group `sentinel.executors` (`docs/executors.md`).

Nothing runs because it is installed: only what `remediation.executor.plugins` names is loaded.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, cast

from remediation.executors.protocol import Executor
from sentinel.errors import ConfigError

GROUP = "sentinel.executors"
"""The entry-point group. An entry's name is the backend; its value a callable that takes the plugin's settings."""

_METHODS = {
    name: len(inspect.signature(member).parameters) - 1
    for name, member in vars(Executor).items()
    if inspect.isfunction(member) and not name.startswith("_")
}
"""What the Protocol asks for, each with the number of its arguments."""


def open_plugin(backend: str, settings: Mapping[str, Any]) -> Executor:
    """The executor that an installed package offers for `backend`; the caller closes it.

    Raises `ConfigError` when no package or more than one offers it, or when what it makes is not an executor. What the
    package itself raises goes through: it is the author who has to see it.
    """
    made = _entry(backend).load()(settings)
    if problems := _misfits(backend, made):
        raise ConfigError(f"the executor {backend!r} of {type(made).__module__} cannot be used: {'; '.join(problems)}")
    return cast("Executor", made)


def _entry(backend: str) -> EntryPoint:
    offered = entry_points(group=GROUP)
    found = list(dict.fromkeys(offered.select(name=backend)))
    if len(found) == 1:
        return found[0]
    if found:
        values = ", ".join(sorted(entry.value for entry in found))
        raise ConfigError(f"several packages offer the executor {backend!r} ({values}): uninstall all but one")
    known = ", ".join(sorted(offered.names)) or "none"
    raise ConfigError(
        f"no installed package offers the executor {backend!r}; offered: {known}. Install it beside Sentinel, with an "
        f"entry point {backend!r} in the group {GROUP!r}"
    )


def _misfits(backend: str, made: object) -> list[str]:
    """What is missing of the Protocol, so that it shows at the start and not in the middle of an incident."""
    problems = []
    if getattr(made, "backend", None) != backend:
        problems.append(f"its backend is {getattr(made, 'backend', None)!r}")
    for name, count in _METHODS.items():
        method = getattr(made, name, None)
        if not callable(method):
            problems.append(f"it has no method {name}")
            continue
        try:
            inspect.signature(method).bind(*range(count))
        except TypeError as error:
            problems.append(f"{name} takes other arguments: {error}")
    return problems
