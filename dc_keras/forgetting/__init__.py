"""Removing people and posts on request from everything that lies on disk."""
