"""Errors that adapters raise, so that callers decide by kind and never by client library."""

from __future__ import annotations


class SentinelError(Exception):
    """Base of every error that Sentinel raises on purpose; its text names the place and the remedy."""


class TransientError(SentinelError):
    """The same call may succeed later (broker away, database busy, HTTP 503). Retry in the one place that retries."""


class LeaseLostError(TransientError):
    """Somebody else holds the lease under which this was to be done: nothing was done, and nothing may be done here."""


class PermanentError(SentinelError):
    """The same call will fail again (bad request, missing row, refused). Do not retry."""


class ConfigError(PermanentError):
    """The configuration cannot be used. The text holds `file:line`, the key and, where there is one, the nearest key."""


class StorePathBusyError(PermanentError):
    """An embedded store's path is owned by another process. The text names the remedy: stop it, or use a server's URL."""


class RefusedError(PermanentError):
    """An action or a decision was refused by a rule. `rule` names it; the text says why."""

    def __init__(self, rule: str, reason: str) -> None:
        super().__init__(f"refused by {rule}: {reason}")
        self.rule = rule
        self.reason = reason
