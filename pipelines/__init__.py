"""The scripts: one for each arrow of the data flow, run as `python -m pipelines.NAME`."""
