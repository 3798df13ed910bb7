"""Writes files of artifacts atomically, locks them and verifies their checksums."""
