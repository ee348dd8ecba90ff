"""The fixtures for real services. Each starts when the first test asks for it and is stopped by its pid.

A service that cannot run here skips its tests with the reason; with `CI=true` it fails them instead.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sentinel.broker import EmbeddedBroker
from tests.services import kafka_broker as kafka
from tests.services import kube_cluster as kube
from tests.services import postgres
from tests.services.aws_double import serve_moto
from tests.services.clickhouse_http import ClickHouseServer
from tests.services.processes import free_port, unavailable
from tests.services.redis_server import RedisServer
from tests.services.redis_server import why_missing as redis_missing


@pytest.fixture(scope="session")
def tansu_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedBroker]:
    """One Tansu for the whole run: give your topics names of their own. `.bootstrap` is its address."""
    with EmbeddedBroker(free_port(), tmp_path_factory.mktemp("tansu") / "broker.log") as broker:
        yield broker


@pytest.fixture(scope="session")
def kafka_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[kafka.KafkaBroker]:
    """One Apache Kafka for the whole run: give your topics names of their own, and leave it running."""
    yield from _kafka(tmp_path_factory)


@pytest.fixture
def own_kafka_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[kafka.KafkaBroker]:
    """An Apache Kafka for one test alone, which may `stop`, `kill` and `start` it on the same data and port."""
    yield from _kafka(tmp_path_factory)


def _kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[kafka.KafkaBroker]:
    if reason := kafka.why_missing():
        unavailable(reason)
    broker = kafka.KafkaBroker(tmp_path_factory.mktemp("kafka"))
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.PostgresServer]:
    """One PostgreSQL for the whole run; most tests want `postgres_database`."""
    if reason := postgres.why_missing():
        unavailable(reason)
    server = postgres.PostgresServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgres_url(postgres_server: postgres.PostgresServer) -> str:
    """The URL of the server's maintenance database, `postgresql://user@host:port/postgres`."""
    return postgres_server.url


@pytest.fixture
def postgres_database(postgres_server: postgres.PostgresServer) -> Iterator[str]:
    """The URL of a new, empty database for one test; dropped afterwards."""
    url = postgres_server.create_database()
    yield url
    postgres_server.drop_database(url)


@pytest.fixture(scope="session")
def clickhouse_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseServer]:
    """One ClickHouse over HTTP for the whole run: give each test a database of its own, `.url("name")`."""
    server = ClickHouseServer(tmp_path_factory.mktemp("clickhouse"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def kube_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[kube.KubeCluster]:
    """One Kubernetes control plane with fake nodes for the whole run: give each test names of its own."""
    if reason := kube.why_missing():
        # Where it cannot be built at all, no run may insist on it.
        unavailable(reason) if kube.can_build() else pytest.skip(f"{reason}; this machine has none")
    cluster = kube.KubeCluster(tmp_path_factory.mktemp("kubernetes"))
    cluster.start()
    yield cluster
    cluster.stop()


@pytest.fixture(scope="session")
def moto_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """One AWS for the whole run (moto's server): give your objects names of their own, and a proxy in front of it."""
    with serve_moto(tmp_path_factory.mktemp("moto")) as port:
        yield port


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One Redis for a module, which may `stop` and `start` it: give your keys a prefix of their own."""
    if reason := redis_missing():
        unavailable(reason)
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()
