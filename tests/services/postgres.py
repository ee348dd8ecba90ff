"""A real PostgreSQL from Debian's package, started by hand in a scratch folder: loopback port, trust, no fsync."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import psycopg
from psycopg import sql

from tests.services.processes import Process, free_port

OWNER = "sentinel"  # the database user; nobody else exists in there


def programs() -> Path | None:
    """The folder with `initdb` and `postgres` of the newest version that is installed, or None."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return max(found, key=lambda folder: int(folder.parent.name), default=None)


def why_missing() -> str | None:
    """The reason why PostgreSQL cannot run here, or None when it can."""
    if programs() is None:
        return "PostgreSQL's programs are not under /usr/lib/postgresql: apt-get install postgresql"
    return None


class PostgresServer:
    """One PostgreSQL in a scratch folder of its own, which goes away with `stop`. Start takes about a second."""

    def __init__(self) -> None:
        folder = programs()
        assert folder is not None, why_missing()
        self._programs = folder
        self._user = _unprivileged_user()
        # Not below pytest's folder: that one is closed to other users, and PostgreSQL refuses to run as root.
        self._folder = Path(tempfile.mkdtemp(prefix="sentinel-postgres-"))
        if self._user:
            shutil.chown(self._folder, self._user, self._user)
        self._port = free_port()
        self._data = self._folder / "data"
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self._folder),
            "port": str(self._port),
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "shared_buffers": "32MB",
            "max_connections": "100",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self._process = Process(
            [folder / "postgres", "-D", self._data, *options],
            self._folder / "postgres.log",
            env={"LC_ALL": "C"},
            user=self._user,
        )
        self._names = (f"test_{number}" for number in itertools.count(1))

    @property
    def url(self) -> str:
        """The URL of the maintenance database `postgres`."""
        return self._url("postgres")

    def start(self) -> None:
        """Create the cluster and start the server; waits until it answers."""
        choices = ("-U", OWNER, "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
        subprocess.run(
            [str(self._programs / "initdb"), "-D", str(self._data), *choices],
            user=self._user,
            group=self._user,
            extra_groups=[] if self._user else None,
            cwd=self._folder,
            env={**os.environ, "LC_ALL": "C"},
            capture_output=True,
            timeout=60,
            check=True,
        )
        self._process.start(self._ready, seconds=30)

    def stop(self) -> None:
        """Shut down at once, connections or not, and remove the folder."""
        self._process.stop(with_signal=signal.SIGINT, seconds=15)
        shutil.rmtree(self._folder)

    def create_database(self, template: str = "") -> str:
        """Make a new database, empty or a copy of the one at the URL `template`; returns its URL."""
        name = next(self._names)
        source = sql.Identifier(template.rsplit("/", 1)[1] if template else "template1")
        self._run(sql.SQL("create database {} template {}").format(sql.Identifier(name), source))
        return self._url(name)

    def drop_database(self, url: str) -> None:
        """Drop a database that `create_database` made, with whatever is still connected to it."""
        name = sql.Identifier(url.rsplit("/", 1)[1])
        self._run(sql.SQL("drop database {} with (force)").format(name))

    def _run(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement)

    def _url(self, database: str) -> str:
        return f"postgresql://{OWNER}@127.0.0.1:{self._port}/{database}"

    def _ready(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


def _unprivileged_user() -> str | None:
    """Who runs the server: nobody else when we are an ordinary user, else `postgres` or `nobody`."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"
