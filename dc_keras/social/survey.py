"""Surveys a layer: communities, their names and isolation, measures of users."""

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
from dc_keras.social.graph_view import GraphView, community_colours, edge_table
from dc_keras.social.isolation import Isolation, measure_isolation
from dc_keras.social.layout import compute_layout
from dc_keras.social.measures import measure_users
from dc_keras.social.naming import CommunityProfile, describe_communities


@dataclass(frozen=True, eq=False)
class Survey:
    """The results of a survey.

    Attributes:
        graph: the graph.
        layer: the surveyed layer.
        communities: communities of the layer.
        stability: stability of the communities over seeds.
        profiles: profile of each community, in their order.
        isolation: isolation of the communities.
        measures: measures of users, one row per user (`measure_users`).
        seed: seed of all random numbers.
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
        """The names of the communities."""
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
        """Returns one row per community of at least two users, by descending size.

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

    def view(self, spells: pl.DataFrame | None = None) -> GraphView:
        """Returns the graph with layout, colours and sizes, for files."""
        membership = self.communities.membership
        strength = self.measures["strength"].to_numpy()
        largest = strength.max(initial=0.0) or 1.0
        return GraphView(
            self.users(),
            edge_table(self.graph, self.layer),
            self.layer.is_directed,
            # Gephi's canvas has coordinates in hundreds.
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
    seed: int = 0,
    num_runs: int = 10,
) -> Survey:
    """Computes the survey of a layer; the result is reproducible for a seed.

    Args:
        graph: the users and layers.
        layer: the surveyed layer, such as `graph.combined()`.
        incidence: affiliations for the names of communities, (num_users, num_things);
            see `describe_communities`.
        names: names of the things.
        resolution: resolution of the communities, above 0.
        seed: seed of communities, pivots and layout.
        num_runs: number of seeds that the stability compares.

    Raises:
        DataError: the resolution is out of range.
    """
    communities = find_communities(layer, resolution=resolution, seed=seed)
    membership = communities.membership
    return Survey(
        graph,
        layer,
        communities,
        measure_stability(layer, resolution=resolution, seed=seed, num_runs=num_runs),
        describe_communities(layer, membership, incidence, names),
        measure_isolation(layer, membership),
        measure_users(graph, layer, seed=seed),
        seed,
    )
