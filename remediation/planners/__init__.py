"""Planners: one Protocol, one file per way to find a plan."""
