"""Keys that sign the heads: by reference, private, Ed25519 and nothing else."""

from __future__ import annotations

import subprocess

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from sentinel.audit_keys import SigningKey, add_public, load_signing_key, load_trusted_keys, write_private
from sentinel.errors import ConfigError


@pytest.fixture
def key():
    return SigningKey.generate()


def test_what_a_key_signs_its_public_key_alone_confirms(key, tmp_path):
    other = SigningKey.generate()
    add_public(tmp_path / "audit.pub", key)
    trusted = load_trusted_keys([tmp_path / "audit.pub"])
    signature = key.sign(b"head")
    assert trusted.ids == (key.id,)
    assert trusted.verify(key.id, b"head", signature)
    assert not trusted.verify(key.id, b"heaD", signature)
    assert not trusted.verify(key.id, b"head", other.sign(b"head"))
    assert not trusted.verify(other.id, b"head", other.sign(b"head"))


def test_a_file_may_hold_the_keys_of_before(key, tmp_path):
    new = SigningKey.generate()
    add_public(tmp_path / "audit.pub", key)
    add_public(tmp_path / "audit.pub", new)
    assert set(load_trusted_keys([tmp_path / "audit.pub"]).ids) == {key.id, new.id}


def test_the_private_file_is_private_and_never_replaced(key, tmp_path):
    path = tmp_path / "deep" / "audit.key"
    write_private(path, key)
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_signing_key("file:deep/audit.key", tmp_path, {}).id == key.id
    with pytest.raises(FileExistsError):
        write_private(path, SigningKey.generate())
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        load_signing_key("file:deep/audit.key", tmp_path, {})


def test_a_key_may_come_from_the_environment(key, tmp_path):
    assert load_signing_key("env:AUDIT_KEY", tmp_path, {"AUDIT_KEY": key.private_pem().decode()}).id == key.id
    with pytest.raises(ConfigError, match="AUDIT_KEY is not set"):
        load_signing_key("env:AUDIT_KEY", tmp_path, {})


@pytest.mark.parametrize("reference", ["", "audit.key", "file:", "env:", "vault:x"])
def test_a_reference_of_another_kind_is_refused(reference, tmp_path):
    with pytest.raises(ConfigError, match="neither file:PATH nor env:NAME"):
        load_signing_key(reference, tmp_path, {})


def test_what_is_no_such_key_is_refused_with_its_place(tmp_path):
    other = X25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(ConfigError, match="not Ed25519"):
        load_signing_key("env:K", tmp_path, {"K": other.decode()})
    with pytest.raises(ConfigError, match=r"\$K holds no private key"):
        load_signing_key("env:K", tmp_path, {"K": "nonsense"})
    with pytest.raises(ConfigError, match=r"gone\.key: No such file"):
        load_signing_key("file:gone.key", tmp_path, {})
    (tmp_path / "audit.pub").write_text("nonsense")
    with pytest.raises(ConfigError, match="holds no Ed25519 key"):
        load_trusted_keys([tmp_path / "audit.pub"])
    with pytest.raises(ConfigError, match="keygen"):
        load_trusted_keys([tmp_path / "gone.pub"])


def test_openssl_reads_the_keys_and_confirms_a_signature(key, tmp_path):
    """Nobody needs Sentinel to check a head."""
    write_private(tmp_path / "audit.key", key)
    add_public(tmp_path / "audit.pub", key)
    (tmp_path / "message").write_bytes(b"head")
    (tmp_path / "signature").write_bytes(key.sign(b"head"))
    command = [
        "openssl",
        "pkeyutl",
        "-verify",
        "-pubin",
        "-inkey",
        "audit.pub",
        "-rawin",
        "-in",
        "message",
        "-sigfile",
        "signature",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "Verified Successfully" in done.stdout, done.stderr
