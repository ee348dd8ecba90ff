"""The one home of the Kafka client (confluent-kafka): topics, a publisher, and three ways to read.

- `blocks.BlockConsumer`: thousands of raw messages of one partition at once, from an offset that the caller keeps.
- `readers.LogReader`: records of whole topics, from offsets that the caller keeps.
- `readers.GroupConsumer`: records from a consumer group's offsets, committed after the work is done.
"""

from sentinel.kafka.admin import check_broker, end_offsets, ensure_topics, partition_count
from sentinel.kafka.blocks import BlockConsumer, MessageBlock
from sentinel.kafka.publisher import Publisher
from sentinel.kafka.readers import GroupConsumer, LogReader, Record

__all__ = [
    "BlockConsumer",
    "GroupConsumer",
    "LogReader",
    "MessageBlock",
    "Publisher",
    "Record",
    "check_broker",
    "end_offsets",
    "ensure_topics",
    "partition_count",
]
