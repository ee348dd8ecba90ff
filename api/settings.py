"""Configuration of the HTTP API."""

from __future__ import annotations

from pydantic import Field, field_validator

from sentinel.approvals import Role
from sentinel.config import Section


class ApiKeySettings(Section):
    """One key. The key itself is nowhere in the configuration."""

    name: str = Field(min_length=1, max_length=128, pattern=r"^[\w.@+-]+$")
    """Who uses it: the actor of its decisions in the audit."""
    role: Role
    """`viewer` reads; `approver` also decides and reads the audit; `admin` may do everything."""
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """SHA-256 of the key, 64 hexadecimal digits: `printf %s "$KEY" | sha256sum`."""


class ApiSettings(Section):
    """Where the API listens and who may call it."""

    host: str = "127.0.0.1"
    """Address to listen on. Default loopback: put TLS in front before it leaves the machine."""
    port: int = Field(default=8080, ge=0, le=65535)
    """TCP port; 0 takes a free one. Default 8080."""
    keys: tuple[ApiKeySettings, ...] = ()
    """The keys that may call. Default none: everything under `/api` is refused."""
    probe_timeout: float = Field(default=2.0, gt=0, le=30)
    """Seconds that `/readyz` and `/health` wait for the slowest part. Default 2, below the usual 3 s of a kubelet."""
    drain_seconds: int = Field(default=5, ge=0, le=300)
    """Seconds that calls under way get at SIGTERM before they are cut. Default 5."""
    failed_logins_per_minute: int = Field(default=30, ge=1)
    """Failed authentications on decisions that go to the audit each minute; more are answered 429 and only counted, so
    that a stranger cannot fill the audit. As many on routes that read. Default 30."""
    login_audit_seconds: float = Field(default=3600.0, ge=0)
    """Seconds after which the use of a key from the same address goes to the audit again. Default 3600; 0 is each use."""

    @field_validator("keys")
    @classmethod
    def _keys_are_unique(cls, keys: tuple[ApiKeySettings, ...]) -> tuple[ApiKeySettings, ...]:
        for field in ("name", "sha256"):
            values = [getattr(key, field) for key in keys]
            for value in values:
                if values.count(value) > 1:
                    raise ValueError(f"two keys have the same {field} {value!r}")
        return keys
