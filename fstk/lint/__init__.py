"""Leaks, each named with its place and its cure."""
