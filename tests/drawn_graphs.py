"""Layers of social graphs, drawn by hand."""

from scipy import sparse

from dc_keras.social.graph import Layer, to_canonical


def layer_of(ties, num_users, is_directed=False, name="drawn"):
    """Returns the layer with these ties, each (row, row, weight)."""
    weights = sparse.dok_array((num_users, num_users))
    for first, second, weight in ties:
        weights[first, second] = weight
        if not is_directed:
            weights[second, first] = weight
    return Layer(name, to_canonical(weights), is_directed)


CLIQUE = [(u, v, 1.0) for u in range(4) for v in range(u)]
TRIANGLE = [(4, 5, 1.0), (5, 6, 1.0), (4, 6, 1.0)]
# A clique and a triangle with a weak tie between them, and user 7 alone.
TWO_GROUPS = layer_of([*CLIQUE, *TRIANGLE, (3, 4, 0.1)], 8)
