"""All stores of one SQL database, opened together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sentinel.audit_anchor import AnchorFile
from sentinel.audit_proof import Proof
from sentinel.stores.sql.alerts import AlertStore
from sentinel.stores.sql.approvals import ApprovalStore
from sentinel.stores.sql.audit import AuditLog
from sentinel.stores.sql.breakers import BreakerStore
from sentinel.stores.sql.card_pictures import CardPictureStore
from sentinel.stores.sql.cards import CardStore
from sentinel.stores.sql.database import Database
from sentinel.stores.sql.edits import EditStore
from sentinel.stores.sql.incidents import IncidentStore
from sentinel.stores.sql.kill_switch import KillSwitchStore
from sentinel.stores.sql.ledger import Ledger
from sentinel.stores.sql.notifications import NotificationStore
from sentinel.stores.sql.outcomes import OutcomeStore
from sentinel.stores.sql.projection import Projection
from sentinel.stores.sql.runs import RunStore
from sentinel.stores.sql.seen_requests import SeenRequests
from sentinel.stores.sql.snoozes import SnoozeStore
from sentinel.stores.sql.steps import StepStore
from sentinel.stores.sql.targets import TargetLeases


@dataclass(frozen=True, slots=True)
class SqlStores:
    """The stores over one pool of connections; `with stores.database.write():` joins several in one transaction."""

    database: Database
    incidents: IncidentStore
    alerts: AlertStore
    projection: Projection
    approvals: ApprovalStore
    edits: EditStore
    runs: RunStore
    ledger: Ledger
    targets: TargetLeases
    outcomes: OutcomeStore
    steps: StepStore
    cards: CardStore
    pictures: CardPictureStore
    snoozes: SnoozeStore
    notifications: NotificationStore
    seen: SeenRequests
    audit: AuditLog
    kill_switch: KillSwitchStore
    breakers: BreakerStore

    @classmethod
    def over(
        cls,
        database: Database,
        anchor: Path | None = None,
        kill_switch_file: Path | None = None,
        proof: Callable[[], Proof | None] = lambda: None,
    ) -> SqlStores:
        """Build the stores; connects to nothing. `anchor` is the file for the heads of the audit chain.

        While `kill_switch_file` exists the kill switch is on. `proof`: see `AuditLog`.
        """
        incidents, alerts, cards = IncidentStore(database), AlertStore(database), CardStore(database)
        approvals = ApprovalStore(database)
        audit = AuditLog(database, AnchorFile(anchor) if anchor else None, proof)
        return cls(
            database=database,
            incidents=incidents,
            alerts=alerts,
            projection=Projection(database, incidents, alerts),
            approvals=approvals,
            edits=EditStore(database, approvals),
            runs=RunStore(database),
            ledger=Ledger(database),
            targets=TargetLeases(database),
            outcomes=OutcomeStore(database),
            steps=StepStore(database),
            cards=cards,
            pictures=CardPictureStore(database),
            snoozes=SnoozeStore(database, cards),
            notifications=NotificationStore(database, audit),
            seen=SeenRequests(database),
            audit=audit,
            kill_switch=KillSwitchStore(database, audit, kill_switch_file),
            breakers=BreakerStore(database, audit),
        )

    def close(self) -> None:
        """Close the pool."""
        self.database.close()
