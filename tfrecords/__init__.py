"""Writes, reads and verifies frames and features as TFRecords."""
