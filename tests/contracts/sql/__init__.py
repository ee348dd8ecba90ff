"""Contracts of the SQL stores: every test runs on SQLite and on a real PostgreSQL."""
