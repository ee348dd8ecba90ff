"""The flows that are deployed: one per file, each with a function `flow()` built from the steps of `operators`.

`detect` turns telemetry into alerts and `incidents` turns alerts into incidents; `pipeline` composes both in one
process for a laptop. Sources and sinks, which join a flow to Kafka, live here too.
"""
