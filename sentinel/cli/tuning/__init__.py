"""Tuning of rules: `sentinel preview`, `backtest` and `diff` say what a rule would do before it pages anyone."""
