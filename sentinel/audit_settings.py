"""How the audit is proven: the key that signs its heads, where they go, and how long records are kept."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr, model_validator

from sentinel.config import Section


class FileAnchorSettings(Section):
    """Signed heads in a file that only grows. Put it on another disk or host: a shared mount, a log shipper's folder."""

    kind: Literal["file"]
    """`file`: this kind of place."""
    name: str = "file"
    """Names this place in metrics, health and commands; each place has a name of its own."""
    path: str = "audit-heads.jsonl"
    """The file, relative to `state_dir`. Default `audit-heads.jsonl`."""


class WebhookAnchorSettings(Section):
    """Signed heads posted to an HTTP endpoint that keeps them."""

    kind: Literal["webhook"]
    """`webhook`: this kind of place."""
    name: str = "webhook"
    """Names this place in metrics, health and commands."""
    url: str
    """Where each head is posted as JSON. 2xx means that it is kept."""
    secret: SecretStr = SecretStr("")
    """Shared secret of the header `X-Sentinel-Signature`; by `${ENV}`. Default none: the head itself is signed."""
    timeout: float = Field(default=10.0, gt=0)
    """Seconds until a post counts as failed. Default 10."""


class S3AnchorSettings(Section):
    """Signed heads in a bucket with object lock, where nobody can change or delete them before their time."""

    kind: Literal["s3"]
    """`s3`: this kind of place."""
    name: str = "s3"
    """Names this place in metrics, health and commands."""
    bucket: str
    """A bucket with object lock (which needs versions), made for this. Credentials come from the environment, as always
    with AWS; they need `s3:PutObject` and `s3:PutObjectRetention`, and to read back `s3:ListBucketVersions` and
    `s3:GetObjectVersion`."""
    prefix: str = "sentinel-audit/"
    """Put before the key of every object. Default `sentinel-audit/`."""
    retain_days: int = Field(default=3650, ge=1)
    """Days for which each object is locked. Default ten years."""
    mode: Literal["COMPLIANCE", "GOVERNANCE"] = "COMPLIANCE"
    """Nobody can lift the lock (`COMPLIANCE`, default), or those with a special right can (`GOVERNANCE`)."""
    region: str = ""
    """AWS region. Default: the environment's."""
    endpoint: str = ""
    """URL of an S3-compatible server. Default AWS."""


AnchorSettings = Annotated[FileAnchorSettings | WebhookAnchorSettings | S3AnchorSettings, Field(discriminator="kind")]
"""One place outside the database."""


class AuditSettings(Section):
    """Signed heads of the audit chain (docs/audit.md). Without a `key` the chain has only its unsigned anchor file."""

    key: str = ""
    """The private key that signs: `file:PATH` (mode 600, relative to `state_dir`) or `env:NAME`. `sentinel audit keygen`
    makes one. Give it to the worker alone. Default none: nothing is signed."""
    public_keys: str = "audit.pub"
    """File of the public keys that are trusted (PEM, several when the key was changed), relative to `state_dir`."""
    sign_every: float = Field(default=300.0, gt=0)
    """Seconds between heads within a day, when there are new records. Default 300: what a cut tail can hide."""
    day_grace: float = Field(default=300.0, ge=0)
    """Seconds after midnight UTC before a day is closed, for writers whose clocks differ. Default 300."""
    late_after: float = Field(default=3600.0, gt=0)
    """Seconds after which a head that has not reached a place degrades health. Default 3600."""
    keep_days: int = Field(default=0, ge=0)
    """Days of records that `sentinel audit prune` keeps. Default 0: all, for ever."""
    anchors: list[AnchorSettings] = []
    """Places outside the database to which every head goes; several at once. Default none."""

    @model_validator(mode="after")
    def _names_differ(self) -> AuditSettings:
        names = [anchor.name for anchor in self.anchors]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"audit.anchors: two places have the name {', '.join(twice)}; give each a `name`")
        if self.anchors and not self.key:
            raise ValueError("audit.anchors: nothing is signed without audit.key; `sentinel audit keygen` makes a key")
        return self
