"""All answers about a layer: communities, names, isolation, places of users."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy import sparse

from dc_keras.social.communities import (
    Communities,
    Stability,
    find_communities,
    measure_stability,
)
from dc_keras.social.graph import Layer, SocialGraph
from dc_keras.social.graph_view import GraphView, edge_table
from dc_keras.social.isolation import Isolation, measure_isolation
from dc_keras.social.layout import compute_layout
from dc_keras.social.measures import measure_users
from dc_keras.social.naming import CommunityProfile, describe_communities
from dc_keras.social.palette import community_colours


@dataclass(frozen=True, eq=False)
class Survey:
    """What there is to say about a layer.

    Attributes:
        graph: whose users.
        layer: the edges.
        communities: of the layer.
        stability: of the communities over seeds.
        profiles: one a community, in their order.
        isolation: of the communities.
        measures: a row a user (`measure_users`).
        seed: of all chance in it.
    """

    graph: SocialGraph
    layer: Layer
    communities: Communities
    stability: Stability
    profiles: list[CommunityProfile]
    isolation: Isolation
    measures: pl.DataFrame
    seed: int

    @property
    def names(self) -> list[str]:
        """Of the communities."""
        return [profile.name for profile in self.profiles]

    def users(self) -> pl.DataFrame:
        """Returns the measures with each user's `community` and `community_name`."""
        membership = self.communities.membership
        names = [self.profiles[community].name for community in membership]
        return self.measures.with_columns(
            pl.Series("community", membership, dtype=pl.Int64),
            pl.Series("community_name", names, dtype=pl.String),
        )

    def table(self) -> pl.DataFrame:
        """Returns a row a community of two users or more, the largest first.

        Columns: `community`, `name`, `users`, `ei_index`, `ei_expected`, and `central`,
        the ids of its most central users.
        """
        count = int((self.communities.sizes > 1).sum())
        shown = self.profiles[:count]
        users = self.graph.users
        return pl.DataFrame(
            {
                "community": list(range(count)),
                "name": [profile.name for profile in shown],
                "users": self.communities.sizes[:count].tolist(),
                "ei_index": self.isolation.ei_index[:count].tolist(),
                "ei_expected": self.isolation.expected[:count].tolist(),
                "central": [[users[row] for row in p.central] for p in shown],
            },
            schema={
                "community": pl.Int64,
                "name": pl.String,
                "users": pl.Int64,
                "ei_index": pl.Float64,
                "ei_expected": pl.Float64,
                "central": pl.List(pl.String),
            },
        )

    def view(
        self, times: pl.DataFrame | None = None, spells: pl.DataFrame | None = None
    ) -> GraphView:
        """Returns the graph as files want it, laid out, coloured and sized.

        Args:
            times: when each edge was seen, as `edge_table` takes it.
            spells: when each edge stood, as `GraphView` has it.
        """
        membership = self.communities.membership
        strength = self.measures["strength"].to_numpy()
        largest = strength.max(initial=0.0) or 1.0
        return GraphView(
            self.users(),
            edge_table(self.graph, self.layer, times),
            self.layer.is_directed,
            # Gephi's canvas counts in hundreds.
            1000 * compute_layout(self.layer, membership, seed=self.seed),
            community_colours(membership),
            4 + 36 * np.sqrt(strength / largest),
            spells,
        )


def survey(
    graph: SocialGraph,
    layer: Layer,
    incidence: sparse.csr_array,
    names: Sequence[str],
    *,
    resolution: float = 1.0,
    objective: str = "modularity",
    seed: int = 0,
    num_runs: int = 10,
) -> Survey:
    """Returns all answers about a layer; equal input and seed give equal ones.

    Args:
        graph: whose users.
        layer: the edges, such as `graph.combined()`.
        incidence: (num_users, num_things), what names the communities
            (`describe_communities`).
        names: of the things.
        resolution: of the communities, above 0.
        objective: of the communities (`find_communities`).
        seed: of communities, pivots and layout.
        num_runs: seeds that stability compares.

    Raises:
        DataError: as the functions that it calls.
    """
    communities = find_communities(
        layer, resolution=resolution, objective=objective, seed=seed
    )
    membership = communities.membership
    return Survey(
        graph,
        layer,
        communities,
        measure_stability(
            layer,
            resolution=resolution,
            objective=objective,
            seed=seed,
            num_runs=num_runs,
        ),
        describe_communities(layer, membership, incidence, names),
        measure_isolation(layer, membership),
        measure_users(graph, layer, seed=seed),
        seed,
    )
