"""The sources: one module per export format."""
