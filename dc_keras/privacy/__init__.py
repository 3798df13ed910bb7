"""Forgetting people and posts, over every artifact."""
