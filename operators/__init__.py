"""From telemetry to incidents: the steps of the flows and the logic that they are made of.

A module named by a verb is a Bytewax step (`decode`, `detect`, `confirm`, `correlate`, ...) and stays thin. A module
named by a noun is pure logic (`detectors`, `alert_states`, `incident_groups`, ...) that imports neither Bytewax nor a
client library, so that a replay, a backtest and the live flow run the same code.
"""
