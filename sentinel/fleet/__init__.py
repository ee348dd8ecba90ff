"""The simulated fleet: a small shop whose services produce telemetry, fall ill on request and obey actions over HTTP."""
