"""Tests of the house itself: rooms, lock files, helper scripts."""
