"""Files of an artifact: written whole, locked, and compared with checksums."""
