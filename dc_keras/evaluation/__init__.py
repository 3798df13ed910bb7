"""How a number is earned: splits, metrics, baselines, tables."""
