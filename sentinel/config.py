"""The base of every configuration section, and the few sections that several rooms share."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from sentinel.canonical import digest


class Section(BaseModel):
    """Base of all configuration models: unknown keys are refused, values cannot change after loading.

    Subclasses sit beside the component that they configure. A docstring under each setting says what, unit, default
    and why; it becomes the reference and the JSON Schema (`use_attribute_docstrings`).
    """

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, validate_default=True)

    @property
    def hash(self) -> str:
        """12 hexadecimal digits that change whenever a value of this section changes; decision rows carry it."""
        return digest(self.model_dump(mode="json"))[:12]


class KafkaSettings(Section):
    """Where the broker is and how the topics are laid out."""

    bootstrap: str = "127.0.0.1:9092"
    """`host:port` of one or more brokers, separated by commas."""
    topic_prefix: str = ""
    """Put before every topic name, so that several Sentinels can share a broker."""
    telemetry_partitions: int = 4
    """Partitions of the telemetry topic when Sentinel creates it. More than the processes you will ever run, because a
    service's partition is fixed by this number."""
    replication_factor: int = 1
    """Replicas of each topic that Sentinel creates; 3 in production."""
    options: dict[str, str] = {}
    """Extra librdkafka settings for every client (TLS, SASL). Secrets by `${ENV}`."""


class StoreSettings(Section):
    """Which stores are used; the URL decides between the embedded part and a server."""

    history: str = "chdb://history"
    """Series history and decisions. `chdb://DIR` runs ClickHouse in this process (DIR relative to `state_dir`);
    `clickhouse://user:password@host:8123/database` uses a server."""
    memory: str = "edge://memory"
    """Incident memory. `edge://DIR` runs Qdrant's engine in this process; `http://host:6333` uses a server."""
    database: str = "sqlite:///sentinel.db"
    """Incidents, approvals, ledger and audit. SQLite (path relative to `state_dir`), or
    `postgresql://user:password@host/database`. The graph's checkpoints live beside it."""
    audit_anchor: str = "audit-anchor.jsonl"
    """File outside the database that records the head of the audit chain, relative to `state_dir`."""
    redis: str = ""
    """Redis that counts rate limits over Sentinels that do not share a database, such as `redis://host:6379/0`. It is
    never the truth: while it is away nothing runs without a person, and approved actions go by the ledger. Default none."""
    embedder: str = "minilm"
    """`minilm` (a small ONNX model, 4 ms a text) or `hashed` (word and character n-grams, no model, 0.06 ms)."""


def resolve(state_dir: Path, value: str) -> Path:
    """Make a path of the configuration absolute: relative ones lie below `state_dir`."""
    path = Path(value).expanduser()
    return path if path.is_absolute() else (state_dir / path)
