"""Studies: users, challenges, their pairs, and the splits that evaluate models."""
