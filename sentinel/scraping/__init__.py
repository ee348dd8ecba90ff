"""Telemetry from Prometheus endpoints: fetch the page, turn it into measurements, produce them."""
