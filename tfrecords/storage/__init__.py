"""Files of an artifact on disk: written whole, locked, compared with their checksums."""
