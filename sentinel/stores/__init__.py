"""Protocols and adapters of the stores that several rooms use: series history, incident memory, and the SQL truth.

Each folder is a role with its Protocol in `protocol.py` and one file per technology.
"""
