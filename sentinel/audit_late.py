"""Whether the signed heads of the audit get to where they belong in time."""

from __future__ import annotations

from sentinel.audit_settings import AuditSettings
from sentinel.errors import TransientError
from sentinel.stores.sql.audit_heads import HeadStore


def check_late(heads: HeadStore, settings: AuditSettings, now: float) -> str:
    """Return a line while every head is signed and delivered in time; raise `TransientError` naming what is late.

    For health, in any process that sees the database. Places that are not configured any more do not count.
    """
    late = []
    places = {anchor.name for anchor in settings.anchors}
    for one in heads.deliveries():
        if one.place in places and one.owed_since is not None and now - one.owed_since > settings.late_after:
            because = f" ({one.last_error})" if one.last_error else ""
            late.append(f"{one.place} lacks heads since {now - one.owed_since:.0f} s{because}")
    unsigned = heads.unsigned_since()
    if unsigned is not None and now - unsigned > settings.sign_every + settings.late_after:
        late.append(f"nothing was signed for {now - unsigned:.0f} s")
    if late:
        raise TransientError(f"audit anchors are late: {'; '.join(late)}")
    return "every signed head is where it belongs"
