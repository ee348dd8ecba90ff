"""The command line as a stranger meets it: help, exit codes, JSON, and what is said when something is wrong."""
