"""Live collection from the platform."""
