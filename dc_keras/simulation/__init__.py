"""A simulated world of short videos with a known truth."""
