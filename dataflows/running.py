"""How a flow runs in this process: its recovery store, its epochs, and how it stops with nothing lost nor repeated."""

from __future__ import annotations

import gc
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import FrameType

from bytewax.dataflow import Dataflow
from bytewax.errors import BytewaxRuntimeError
from bytewax.run import cli_main
from pydantic import Field

from dataflows.recovery import recovery_store
from dataflows.sources import Reading
from sentinel.config import KafkaSettings, Section
from sentinel.errors import SentinelError
from sentinel.logs import get_logger

log = get_logger(__name__)


class FlowSettings(Section):
    """How the flows run."""

    snapshot_interval: float = Field(default=10.0, ge=0.1)
    """Seconds between snapshots of state and offsets. After a crash at most so much is read again. A snapshot pauses the
    flow for about 50 ms per 5,000 series. Default 10 s."""
    partition_groups: int = Field(default=1, ge=1)
    """Groups that the telemetry partitions are dealt into; each group is one process with a recovery store of its own. Fixed
    for the life of the stores. Default 1: a laptop; 8 to 64 in production."""
    poll_interval: float = Field(default=0.01, gt=0)
    """Seconds between two looks at a partition that had less than a block. Default 10 ms: half of it is the mean delay."""
    block_messages: int = Field(default=10_000, ge=1, le=100_000)
    """Most messages in one block. Default 10,000: larger ones gain nothing more per event."""
    block_bytes: int = Field(default=4 << 20, ge=1 << 16)
    """Bytes that a block is held to, roughly. Default 4 MiB, about 40,000 events."""

    def reading(self, kafka: KafkaSettings, group: str, stop: threading.Event, *, stop_at_end: bool = False) -> Reading:
        """How the sources of a flow read; `group` is the consumer group that lag tools see."""
        return Reading(kafka, group, stop, stop_at_end, self.poll_interval, self.block_messages, self.block_bytes)


def run_flow(flow: Dataflow, folder: Path, layout: Mapping[str, int | str], settings: FlowSettings) -> None:
    """Run until the sources end: by their stop flag, or at the end of their topics. Blocks; any thread may call it.

    State and offsets are in `folder` (see `recovery_store` about `layout` and the errors); the end takes a last snapshot.
    An error in a step, a source or a sink comes out of here (as itself when it is one of `sentinel.errors`); the next
    start repeats from the last snapshot.
    """
    with recovery_store(folder, layout) as recovery, calm_collector():
        log.info("flow starts", flow=flow.flow_id, folder=str(folder))
        epoch = timedelta(seconds=settings.snapshot_interval)
        try:
            cli_main(flow, epoch_interval=epoch, recovery_config=recovery)  # type: ignore[no-untyped-call]
        except BytewaxRuntimeError as error:
            ours = _own_error(error)
            if ours is None:
                raise
            raise ours from ours.__cause__
        log.info("flow ended", flow=flow.flow_id)


def _own_error(error: BaseException) -> SentinelError | None:
    """The product's own error inside the engine's chain of errors, if there is one."""
    inner: BaseException | None = error
    while inner is not None and not isinstance(inner, SentinelError):
        inner = inner.__cause__
    return inner


@contextmanager
def calm_collector() -> Iterator[None]:
    """Keep the cyclic garbage collector out of the hot path: thousands of live messages would make it the largest cost.

    What exists is frozen, and young objects are looked at every 200,000 allocations instead of every 700.
    """
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 20, 50)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def stop_on_signals(stop: threading.Event) -> None:
    """Let SIGTERM and SIGINT set the flag. Main thread only; a second signal ends the process at once, without a snapshot."""

    def ask(number: int, _frame: FrameType | None) -> None:
        log.info("stopping", signal=signal.Signals(number).name)
        stop.set()
        signal.signal(number, signal.SIG_DFL)

    signal.signal(signal.SIGTERM, ask)
    signal.signal(signal.SIGINT, ask)
