"""A real Apache Kafka (KRaft, one node) without containers: jars from Maven Central and any Java from 17 on.

Measured on two cores: the jars 6 s once (44 MB, kept in the user's cache), format 1.3 s, start 3 to 4 s.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tests.services.processes import Process, answers, free_port

VERSION = "4.3.1"
CLUSTER_ID = "c2VudGluZWwtdGVzdHMtMQ"  # 16 bytes in base64, as Kafka wants it
JAVA = ("java", "-Xms128m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")

POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>local</groupId><artifactId>broker</artifactId><version>1</version><dependencies>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{VERSION}</version></dependency>
<dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
</dependencies></project>
"""

# The short broker session lets a broker that was killed come back at once; with the default of 9 s it waits for its own ghost.
PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
num.partitions=4
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=1500
broker.heartbeat.interval.ms=300
log.segment.bytes=67108864
log.cleaner.dedupe.buffer.size=8388608
num.network.threads=2
num.io.threads=2
"""


def why_missing() -> str | None:
    """The reason why Apache Kafka cannot run here, or None when it can."""
    java = shutil.which("java")
    if java is None or subprocess.run([java, "-version"], capture_output=True, check=False).returncode:
        return "Apache Kafka needs a Java runtime (17 or newer) on PATH: apt-get install default-jre-headless"
    if not (jar_folder() / ".complete").exists() and shutil.which("mvn") is None:
        return "Apache Kafka's jars are not in the cache and Maven is not on PATH: apt-get install maven"
    return None


def jar_folder() -> Path:
    """Where the jars of this version are kept."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "aiops-sentinel" / f"kafka-{VERSION}"


def fetch_jars() -> Path:
    """Download the jars once; processes that come at the same time wait for the first. Returns their folder."""
    folder = jar_folder()
    complete = folder / ".complete"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not complete.exists():
            pom = folder / "pom.xml"
            pom.write_text(POM)
            target = f"-DoutputDirectory={folder}"
            subprocess.run(
                ["mvn", "-q", "-B", "-Dstyle.color=never", "-f", str(pom), "dependency:copy-dependencies", target],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                timeout=600,
                check=True,
            )
            complete.touch()
    return folder


class KafkaBroker:
    """One Apache Kafka with its data in `folder`. After `stop` or `kill`, `start` continues on the same data and port."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self.bootstrap = f"127.0.0.1:{self._port}"
        self._properties = folder / "server.properties"
        self._classpath = f"{fetch_jars()}/*"
        self._process = Process([*JAVA, "-cp", self._classpath, "kafka.Kafka", self._properties], folder / "broker.log")

    @property
    def pid(self) -> int:
        """The process id of the broker."""
        return self._process.pid

    def start(self) -> None:
        """Format the data folder when it is new, start, and wait until the broker answers a metadata request."""
        data = self._folder / "data"
        if not (data / "meta.properties").exists():
            text = PROPERTIES.format(port=self._port, controller_port=free_port(), data=data)
            self._properties.write_text(text)
            tool = ["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", str(self._properties)]
            subprocess.run([*JAVA, "-cp", self._classpath, *tool], capture_output=True, timeout=60, check=True)
        self._process.start(self._ready)

    def stop(self) -> None:
        """Shut down in order; the data stay."""
        self._process.stop()

    def kill(self) -> None:
        """Crash: SIGKILL; the data stay as they are."""
        self._process.kill()

    def _ready(self) -> bool:
        if not answers(self._port):
            return False
        try:
            return bool(AdminClient({"bootstrap.servers": self.bootstrap}).list_topics(timeout=2).brokers)
        except KafkaException:
            return False
