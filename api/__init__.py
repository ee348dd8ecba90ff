"""The HTTP API: incidents, approvals and health, on FastAPI.

It reads and writes the stores of `sentinel` and nothing else. It never imports the graph, planners or executors: what a
person decides here reaches the worker as data.
"""
