"""The SavedModel bundle that answers raw requests."""
