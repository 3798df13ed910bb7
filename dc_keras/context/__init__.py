"""What simple statistics say of a user and a challenge, as functions of a graph."""
