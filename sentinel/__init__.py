"""The shared vocabulary of AIOps Sentinel, its configuration, stores, simulated fleet and command line.

Every other room (`operators`, `dataflows`, `remediation`, `api`) imports this package and none of this package,
`sentinel.cli` aside, imports them.
"""

__version__ = "0.1.0"
