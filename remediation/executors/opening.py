"""Opens the executors that the configuration asks for; those that may not act only look."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

from remediation.aws_settings import AwsSettings
from remediation.executors.aws.clients import AwsClients
from remediation.executors.aws.executor import AwsExecutor
from remediation.executors.dry_run import DryRunExecutor
from remediation.executors.fleet import FleetExecutor
from remediation.executors.kubernetes.executor import KubernetesExecutor
from remediation.executors.plugins import open_plugin
from remediation.executors.protocol import Executor
from remediation.settings import ExecutorSettings


@contextmanager
def open_executors(settings: ExecutorSettings) -> Iterator[dict[str, Executor]]:
    """The executors by backend, closed at the end. What `kind` does not name is wrapped so that it changes nothing.

    Raises `ConfigError` for a plugin that cannot be used.
    """
    openers: dict[str, Callable[[], Executor]] = {"fleet": partial(FleetExecutor, settings.fleet)}
    if settings.kubernetes.used:
        openers["kubernetes"] = partial(KubernetesExecutor, settings.kubernetes, time.time)
    if settings.aws.accounts:
        openers["aws"] = partial(_open_aws, settings.aws)
    for backend, own in settings.plugins.items():
        openers[backend] = partial(open_plugin, backend, own)
    with ExitStack() as stack:
        found: dict[str, Executor] = {}
        for backend, opener in openers.items():
            executor = opener()
            stack.callback(executor.close)
            found[backend] = executor if backend in settings.acting else DryRunExecutor(executor)
        yield found


def _open_aws(settings: AwsSettings) -> Executor:
    return AwsExecutor(settings, AwsClients(settings, time.time), time.time)
