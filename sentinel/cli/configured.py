"""Tells the audit when a process starts with another configuration than before, and what is different."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from remediation.policy import policy_version
from remediation.runbooks import load_runbooks
from sentinel import __version__
from sentinel.canonical import plain
from sentinel.cli.hiding import without_secrets
from sentinel.cli.settings import Settings
from sentinel.errors import PermanentError
from sentinel.stores.sql.audit import AuditFilter
from sentinel.stores.sql.steps import digest_of
from sentinel.stores.sql.stores import SqlStores

CHANGED = "configuration.changed"
POLICY_CHANGED = "policy.changed"

_MOST = 200
"""Changed settings that a record names; a record must stay readable."""


def tell_configuration(settings: Settings, stores: SqlStores, process: str, now: float) -> bool:
    """Record the configuration of `process` (`worker`, `api`) if it is not the one of its last start; True when told.

    Compares settings without secrets, runbooks, and Sentinel's version. A change of policy is a record of its own.
    `now` is wall time in seconds.
    """
    wanted = _document(settings)
    digest = digest_of(wanted)
    target = f"configuration/{process}"
    with stores.database.write():
        last = stores.audit.find(AuditFilter(action=CHANGED, target=target), limit=1).items
        if last and last[0].digest == digest:
            return False
        before = _stored(stores, last[0].digest) if last else {}
        stores.steps.keep_content(wanted)
        details = _difference(before, wanted) if last else {"before": {}, "after": {}}
        said = f"{details.get('changed', 0)} settings are others" if last else "first start"
        told: dict[str, Any] = {"actor": f"process:{process}", "target": target, "at": now, "digest": digest}
        if before and before["policy"] != wanted["policy"]:
            versions = {"before": {"version": before["policy"]}, "after": {"version": wanted["policy"]}}
            stores.audit.append(action=POLICY_CHANGED, reason="policy is another one", details=versions, **told)
        stores.audit.append(action=CHANGED, reason=said, details={**details, "version": __version__}, **told)
    return True


def _stored(stores: SqlStores, digest: str) -> dict[str, Any]:
    """The configuration of the last start; empty when it is gone or damaged: everything counts as changed then."""
    try:
        found: dict[str, Any] = stores.steps.content(digest)
    except PermanentError:
        return {}
    return found


def _document(settings: Settings) -> dict[str, Any]:
    folder = settings.remediation.runbooks
    runbooks = (
        {book.name: digest_of(plain(book.model_dump(mode="json"))) for book in load_runbooks(Path(folder))}
        if folder
        else {}
    )
    return {
        "settings": without_secrets(settings.model_dump(mode="json", by_alias=True)),
        "policy": policy_version(settings.remediation.policy),
        "runbooks": runbooks,
        "version": __version__,
    }


def _difference(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """The leaves that differ, by their path, with the value of both sides (None where there is none)."""
    old, new = dict(_leaves(before, "")), dict(_leaves(after, ""))
    paths = sorted(path for path in old.keys() | new.keys() if old.get(path) != new.get(path))
    return {
        "changed": len(paths),
        "before": {path: old.get(path) for path in paths[:_MOST]},
        "after": {path: new.get(path) for path in paths[:_MOST]},
    }


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict | list) and value:
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in pairs:
            yield from _leaves(item, f"{path}/{key}")
    else:
        yield path, value
