"""The networks of the paper, built with the functional API, and their options."""
