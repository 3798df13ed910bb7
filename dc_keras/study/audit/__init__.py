"""Checks of an evaluation's data: leaks, duplicates and impossible numbers."""
