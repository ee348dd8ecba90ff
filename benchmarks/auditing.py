"""The audit log measured: appends on the database, and a long chain verified. Run by `approvals.py audit`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from sentinel.audit_chain import AuditRecord, record_hash, verify
from sentinel.stores.sql.database import Database
from sentinel.stores.sql.migrate import migrate
from sentinel.stores.sql.stores import SqlStores

Measured = dict[str, Any]


def audit(folder: Path, url: str, appends: int = 2_000, records: int = 1_000_000) -> Measured:
    """Appends a second by 1 and by 8 writers; then a chain of `records` that is made and verified as a stream."""
    database = Database(url or f"sqlite:///{folder}/sentinel.db")
    migrate(database)
    stores = SqlStores.over(database)
    rates = {}
    for writers in (1, 8):
        began = time.perf_counter()
        with ThreadPoolExecutor(writers) as pool:
            list(pool.map(lambda number: _append(stores, number), range(appends)))
        rates[str(writers)] = round(appends / (time.perf_counter() - began))
    database.close()
    making = _consume(_chain(records))
    began, cpu = time.perf_counter(), time.process_time()
    verdict = verify(_chain(records))
    taken, spent = time.perf_counter() - began, time.process_time() - cpu
    if not verdict.ok:
        raise SystemExit(f"the chain does not hold: {verdict}")
    return {
        "appends_per_second": rates,
        "records_verified": records,
        "seconds_with_making_them": round(taken, 1),
        "seconds": round(taken - making, 1),
        "cpu_seconds_with_making_them": round(spent, 1),
        "limit": 60.0,
    }


def _append(stores: SqlStores, number: int) -> None:
    stores.audit.append(
        actor="benchmark", action="measured", target=f"target-{number}", at=time.time(), details={"number": number}
    )


def _chain(records: int) -> Iterator[AuditRecord]:
    previous = "0" * 64
    for seq in range(1, records + 1):
        fields: Measured = {"seq": seq, "at": 1e9 + seq, "actor": "worker", "action": "executed", "target": "inc-1"}
        unsealed = AuditRecord(**fields, reason="restart cart", details={"number": seq}, previous=previous)
        previous = record_hash(unsealed)
        yield AuditRecord(
            **{**fields, "reason": "restart cart", "details": {"number": seq}},
            previous=unsealed.previous,
            hash=previous,
        )


def _consume(records: Iterator[AuditRecord]) -> float:
    began = time.perf_counter()
    for _ in records:
        pass
    return time.perf_counter() - began
