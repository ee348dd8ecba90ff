"""Fixtures that start real services on loopback: Tansu, Apache Kafka and PostgreSQL."""
