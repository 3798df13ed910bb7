"""Bytes on disk: frames and features as TFRecords, written, read and verified."""
