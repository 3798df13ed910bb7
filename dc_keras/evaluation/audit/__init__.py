"""Guards 2 and 3 of an evaluation: what must never be seen, and what cannot be true."""
