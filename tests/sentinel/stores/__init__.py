"""Tests of the store adapters that go beyond their contracts: processes, outages, pinned files."""
