"""HTML pages of evaluations, explanations, graphs and reach."""
