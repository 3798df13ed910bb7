"""Simple models of who joins what, as baselines and as inputs of the fusion."""
