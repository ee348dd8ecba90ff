"""Notifiers: one Protocol, one file per place where people are told."""
