"""Exports a model as a SavedModel bundle, and queries bundles and model servers."""
