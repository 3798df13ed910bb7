"""Live collection of posts from the platform."""
