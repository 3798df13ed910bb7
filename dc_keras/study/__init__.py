"""Studies: which users, challenges and pairs are asked about, and how they are split."""
