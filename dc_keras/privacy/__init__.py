"""Removal of people and posts from every artifact."""
