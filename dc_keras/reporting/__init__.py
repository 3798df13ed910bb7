"""One page that shows a run of `evaluate`."""
