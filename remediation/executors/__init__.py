"""Executors: one Protocol, one file per technology."""
