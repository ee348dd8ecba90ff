"""Incident memory: what happened before, found by labels first and likeness second."""
