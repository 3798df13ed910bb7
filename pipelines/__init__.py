"""The scripts, one for each arrow of the data flow: `python -m pipelines.NAME`."""
