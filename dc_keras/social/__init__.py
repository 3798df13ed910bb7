"""Social graphs of users: shared things, interactions, communities and reach."""
