"""The measurements behind every number in the README: each module is a program that prints a table and writes JSON."""
