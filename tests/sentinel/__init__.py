"""Tests of the shared vocabulary and the rooms under sentinel."""
