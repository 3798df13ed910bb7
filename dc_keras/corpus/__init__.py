"""Canonical records of posts and users, and the corpus on disk. Without TensorFlow."""
