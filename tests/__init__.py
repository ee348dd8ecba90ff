"""The tests: folders mirror the rooms; `contracts/` holds one suite per Protocol, `services/` the real brokers."""
