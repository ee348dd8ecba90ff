"""Secrets by the names of environment variables."""

from __future__ import annotations

from collections.abc import Mapping

from sentinel.errors import ConfigError


def read_secret(env: Mapping[str, str], name: str, place: str) -> str:
    """The value of the variable that the setting `place` names.

    Raises `ConfigError`, which never shows a value, when it is not set, empty, or cannot stand in a header.
    """
    value = env.get(name, "").strip()
    if not value:
        raise ConfigError(f"{place}: the environment variable {name} is not set; export it first")
    if not value.isascii() or not value.isprintable():
        raise ConfigError(f"{place}: the environment variable {name} holds characters that no secret has")
    return value
