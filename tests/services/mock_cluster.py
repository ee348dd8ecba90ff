"""librdkafka's mock cluster, of which the tests want one thing that no real broker does on demand: a chosen error.

The library that confluent-kafka brings is called through ctypes, because its Python face offers no way to inject errors.
Topics come into being when they are asked for; creating them by request is not answered.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import confluent_kafka

OFFSET_FETCH = 9
"""Key of the request by which a group's offsets are read (Kafka protocol)."""
NOT_COORDINATOR = 16
"""Error of a broker that does not (yet, or any more) coordinate the group."""


class MockCluster:
    """A mock cluster of one broker; `bootstrap` is its address."""

    def __init__(self) -> None:
        self._library = _library()
        problem = ctypes.create_string_buffer(256)
        settings = self._library.rd_kafka_conf_new()
        self._library.rd_kafka_conf_set(settings, b"log_level", b"0", problem, len(problem))
        self._client = self._library.rd_kafka_new(0, settings, problem, len(problem))
        assert self._client, problem.value
        self._cluster = self._library.rd_kafka_mock_cluster_new(self._client, 1)
        self.bootstrap: str = self._library.rd_kafka_mock_cluster_bootstraps(self._cluster).decode()

    def answer(self, request: int, errors: list[int]) -> None:
        """Answer the next requests of this key with these errors, one each; afterwards normally."""
        codes = (ctypes.c_int * len(errors))(*errors)
        self._library.rd_kafka_mock_push_request_errors_array(self._cluster, request, len(errors), codes)

    def close(self) -> None:
        """End the cluster."""
        self._library.rd_kafka_mock_cluster_destroy(self._cluster)
        self._library.rd_kafka_destroy(self._client)


@contextmanager
def mock_cluster() -> Iterator[MockCluster]:
    """A mock cluster for as long as the context lasts."""
    cluster = MockCluster()
    try:
        yield cluster
    finally:
        cluster.close()


def _library() -> ctypes.CDLL:
    folder = Path(confluent_kafka.__file__).parent.parent / "confluent_kafka.libs"
    library = ctypes.CDLL(str(next(folder.glob("librdkafka*.so*"))))
    pointer = ctypes.c_void_p
    library.rd_kafka_conf_new.restype = pointer
    library.rd_kafka_conf_set.argtypes = [pointer, *[ctypes.c_char_p] * 3, ctypes.c_size_t]
    library.rd_kafka_new.restype = pointer
    library.rd_kafka_new.argtypes = [ctypes.c_int, pointer, ctypes.c_char_p, ctypes.c_size_t]
    library.rd_kafka_mock_cluster_new.restype = pointer
    library.rd_kafka_mock_cluster_new.argtypes = [pointer, ctypes.c_int]
    library.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
    library.rd_kafka_mock_cluster_bootstraps.argtypes = [pointer]
    codes = ctypes.POINTER(ctypes.c_int)
    library.rd_kafka_mock_push_request_errors_array.argtypes = [pointer, ctypes.c_int16, ctypes.c_size_t, codes]
    library.rd_kafka_mock_cluster_destroy.argtypes = [pointer]
    library.rd_kafka_destroy.argtypes = [pointer]
    return library
