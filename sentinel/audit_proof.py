"""What the audit chain is held against: the trusted keys, and the signed heads that were kept outside the database."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sentinel.audit_anchor import HeadFile
from sentinel.audit_heads import SignedHead, Trust
from sentinel.audit_keys import load_trusted_keys
from sentinel.audit_settings import AuditSettings, FileAnchorSettings
from sentinel.config import resolve


@dataclass(frozen=True, slots=True)
class Proof:
    """The public keys, and heads that they signed."""

    trust: Trust
    heads: tuple[SignedHead, ...]

    def with_heads(self, heads: Iterable[SignedHead]) -> Proof:
        """The same with more heads; those of the database are worth less than those outside, and count as well."""
        return Proof(self.trust, (*self.heads, *heads))


def load_proof(settings: AuditSettings, state_dir: Path) -> Proof | None:
    """What this configuration signs with and keeps in files; None where nothing is signed.

    Raises `ConfigError` when the public keys cannot be read, `PermanentError` for a damaged file of heads.
    """
    if not settings.key:
        return None
    trust = load_trusted_keys([resolve(state_dir, settings.public_keys)])
    files = [one for one in settings.anchors if isinstance(one, FileAnchorSettings)]
    heads = [head for one in files for head in HeadFile(one.name, resolve(state_dir, one.path)).read()]
    return Proof(trust, tuple(heads))
