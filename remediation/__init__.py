"""From an incident to a verified, audited outcome: analyse, plan, policy, ask, wait, execute, verify, undo, record.

Planners, policy, executors and verification are plain code behind Protocols; `graph`, `nodes` and `worker` alone know
LangGraph. Nothing here imports `operators`: what detection says arrives as data on a topic.
"""
