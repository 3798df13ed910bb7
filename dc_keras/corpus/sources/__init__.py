"""One module an export format: each maps a foreign shape to canonical records."""
