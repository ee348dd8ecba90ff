"""Keys that sign the heads of the audit chain: Ed25519, in files or in the environment, never in the configuration."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from sentinel.errors import ConfigError

_BLOCK = re.compile(rb"-----BEGIN PUBLIC KEY-----.+?-----END PUBLIC KEY-----", re.DOTALL)


class SigningKey:
    """A private key; see `sentinel.audit_heads.Signer`."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public = private.public_key()
        self.id = key_id(self.public)
        """Names the key; stands in every head that it signs."""

    @classmethod
    def generate(cls) -> SigningKey:
        """A new random key."""
        return cls(Ed25519PrivateKey.generate())

    def sign(self, message: bytes) -> bytes:
        """The Ed25519 signature, 64 bytes; the same message gives the same one."""
        return self._private.sign(message)

    def private_pem(self) -> bytes:
        """PKCS 8 in PEM, not encrypted: it belongs into a file that only the signing process can read."""
        return self._private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def public_pem(self) -> bytes:
        """The public key in PEM, as `openssl pkey -pubin` reads it."""
        return self.public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


class TrustedKeys:
    """Public keys by id; see `sentinel.audit_heads.Trust`. Several, because keys are changed now and then."""

    def __init__(self, keys: Iterable[Ed25519PublicKey]) -> None:
        self._keys = {key_id(key): key for key in keys}

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the keys, sorted."""
        return tuple(sorted(self._keys))

    def knows(self, key: str) -> bool:
        """Whether the key with this id is one of them."""
        return key in self._keys

    def verify(self, key: str, message: bytes, signature: bytes) -> bool:
        """Whether the signature is that key's."""
        try:
            self._keys[key].verify(signature, message)
        except (InvalidSignature, KeyError):
            return False
        return True


def key_id(public: Ed25519PublicKey) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of the 32 raw bytes."""
    return hashlib.sha256(public.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:16]


def load_signing_key(reference: str, state_dir: Path, env: Mapping[str, str] = os.environ) -> SigningKey:
    """The private key that `file:PATH` (below `state_dir` unless absolute) or `env:NAME` names; PEM.

    Raises `ConfigError` with the remedy: nothing there, not such a key, or a file that others can read.
    """
    kind, _, place = reference.partition(":")
    if kind == "env" and place:
        if not env.get(place):
            raise ConfigError(f"audit.key: ${place} is not set; it holds the private key in PEM")
        return _private(env[place].encode(), f"${place}")
    if kind != "file" or not place:
        raise ConfigError(f"audit.key: {reference!r} is neither file:PATH nor env:NAME")
    path = state_dir / Path(place).expanduser()
    try:
        mode = path.stat().st_mode & 0o777
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"audit.key: {path}: {error.strerror}; `sentinel audit keygen` makes a key") from error
    if mode & 0o077:
        raise ConfigError(f"audit.key: {path} can be read by others (mode {mode:o}): chmod 600 {path}")
    return _private(content, str(path))


def load_trusted_keys(paths: Iterable[Path]) -> TrustedKeys:
    """Every public key (PEM) in these files; raises `ConfigError` when one holds none or cannot be read."""
    return TrustedKeys(key for path in paths for key in _public(path))


def write_private(path: Path, key: SigningKey) -> None:
    """Write the private key to a new file that its owner alone can read; raises FileExistsError rather than replace one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(key.private_pem())


def add_public(path: Path, key: SigningKey) -> None:
    """Append the public key to the file of trusted ones: heads of the keys before stay provable."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(key.public_pem())


def _private(content: bytes, place: str) -> SigningKey:
    try:
        key = load_pem_private_key(content, password=None)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"audit.key: {place} holds no private key in PEM without a password") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"audit.key: the key in {place} is not Ed25519")
    return SigningKey(key)


def _public(path: Path) -> list[Ed25519PublicKey]:
    try:
        blocks = _BLOCK.findall(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"public key: {path}: {error.strerror}; `sentinel audit keygen` makes one") from error
    found = []
    for block in blocks:
        try:
            key = load_pem_public_key(block)
        except ValueError as error:
            raise ConfigError(f"public key: {path} holds a block that is no public key") from error
        if isinstance(key, Ed25519PublicKey):
            found.append(key)
    if not found:
        raise ConfigError(f"public key: {path} holds no Ed25519 key in PEM")
    return found
