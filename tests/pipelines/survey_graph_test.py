import json

import networkx as nx
import polars as pl
import pytest

pytest.importorskip("igraph", reason="the extra `social` is not installed")
pytest.importorskip("plotly", reason="the extra `report` is not installed")


@pytest.fixture(scope="module")
def graph(chain, corpus):
    arguments = (f"--corpus={corpus.output}", "--layer=co-hashtag", "--layer=mention")
    return chain("build_graph", *arguments, output="surveyed_graph")


def _arguments(graph, corpus):
    return f"--graph={graph.output}", f"--corpus={corpus.output}"


def test_a_graph_becomes_a_page_tables_and_files(chain, graph, corpus):
    found = chain("survey_graph", *_arguments(graph, corpus), output="survey")
    assert {path.name for path in found.output.iterdir()} == {
        "survey.html",
        "users.parquet",
        "communities.parquet",
        "communities.csv",
        "graph.gexf",
        "graph_nodes.csv",
        "graph_edges.csv",
        "graph.png",
        "graph.svg",
        "SHA256SUMS",
    }
    users = pl.read_parquet(found.output / "users.parquet")
    communities = pl.read_parquet(found.output / "communities.parquet")
    assert users.height == 40
    sizes = users["community"].value_counts().filter(pl.col("count") > 1)
    assert communities.height == sizes.height > 0
    assert f"{communities.height} communities, " in found.stdout
    page = (found.output / "survey.html").read_text("utf-8")
    assert '<span class="badge">synthetic</span>' in page


def test_gephi_gets_the_days_of_ties(chain, corpus):
    flags = (f"--corpus={corpus.output}", "--layer=mention", "--layer=co-hashtag")
    graph = chain("build_graph", *flags, "--snapshot_days=7", output="spelt_graph")
    arguments = (*_arguments(graph, corpus), "--layer=mention", "--format=gexf")
    survey = chain("survey_graph", *arguments, output="spelt_survey")
    found = nx.read_gexf(survey.output / "graph.gexf")
    assert found.graph["mode"] == "dynamic"
    ties = [tie for _, _, tie in found.edges(data=True)]
    assert ties
    assert all(start < end for tie in ties for start, end in tie["spells"])


def test_users_and_tags_are_one_graph(chain, graph, corpus):
    flags = ("--bipartite=hashtag", "--bipartite=sound", "--format=graphml")
    survey = chain(
        "survey_graph",
        *_arguments(graph, corpus),
        *flags,
        "--format=gexf",
        "--format=csv",
        output="bipartite_survey",
    )
    names = {path.name for path in survey.output.glob("users_and_*")}
    endings = (".graphml", ".gexf", "_nodes.csv", "_edges.csv")
    kinds = ("hashtags", "sounds")
    assert names == {f"users_and_{kind}{end}" for kind in kinds for end in endings}
    found = nx.read_graphml(survey.output / "users_and_hashtags.graphml")
    assert nx.is_bipartite(found)
    types = [known["node_type"] for _, known in found.nodes(data=True)]
    assert types.count("user") == 40
    # By the rule of the graph: two users at least, and not what everybody has.
    degrees = dict(found.degree)
    tags = [node for node in found if node.startswith("#")]
    assert min(degrees[tag] for tag in tags) >= 2
    assert "#fyp" not in tags
    assert f"users and hashtags: {len(tags):,} hashtags" in survey.stdout


@pytest.fixture(scope="module")
def predictions(graph, tmp_path_factory):
    """A file of `predict` with two challenges and all users except one."""
    users = pl.read_parquet(graph.output / "users.parquet")["user_id"][1:]
    names = pl.Series("challenge", ["dance", "sing"])
    table = pl.DataFrame({"user_id": users}).join(names.to_frame(), how="cross")
    likely = pl.when(pl.col("challenge") == "sing").then(0.25).otherwise(0.75)
    path = tmp_path_factory.mktemp("told") / "predictions.csv"
    table.with_columns(probability=likely).write_csv(path)
    return f"--predictions={path}"


def test_predictions_become_an_attribute_and_a_colour(
    chain, graph, corpus, predictions
):
    found = chain(
        "survey_graph",
        *_arguments(graph, corpus),
        predictions,
        "--challenge=sing",
        "--colour_by=probability",
        *(f"--format={name}" for name in ("gexf", "graphml", "csv", "json", "png")),
        output="told_survey",
    )
    assert "a probability for 39 of 40 users" in found.stdout
    for table in (
        pl.read_parquet(found.output / "users.parquet"),
        pl.read_csv(found.output / "graph_nodes.csv"),
    ):
        values = table["probability"]
        assert values.null_count() == 1
        assert values.drop_nulls().unique().to_list() == [0.25]
    drawn = nx.read_gexf(found.output / "graph.gexf", version="1.3").nodes(data=True)
    assert sorted(node.get("probability", -1) for _, node in drawn) == [
        -1,
        *[0.25] * 39,
    ]
    drawn = nx.read_graphml(found.output / "graph.graphml").nodes(data=True)
    assert sorted(node.get("probability", -1) for _, node in drawn) == [
        -1,
        *[0.25] * 39,
    ]
    nodes = json.loads((found.output / "graph.json").read_text("utf-8"))["nodes"]
    assert len({node["color"] for node in nodes if "probability" in node}) == 1
    assert len({node["color"] for node in nodes}) == 2


def test_unusable_predictions_are_one_line(
    fails_in_one_line, graph, corpus, predictions, tmp_path
):
    arguments = ("survey_graph", *_arguments(graph, corpus), f"--output={tmp_path}/no")
    line = fails_in_one_line(*arguments, predictions)
    assert "the challenge must be one of dance, sing" in line
    for flag in ("--colour_by=probability", "--challenge=sing"):
        line = fails_in_one_line(*arguments, flag)
        assert "need --predictions" in line
    assert not (tmp_path / "no").exists()


def test_what_cannot_be_surveyed_is_one_line(
    fails_in_one_line, graph, corpus, tmp_path
):
    output = f"--output={tmp_path}/no"
    line = fails_in_one_line(
        "survey_graph", *_arguments(graph, corpus), "--layer=co-hat", output
    )
    assert "layer must be one of" in line
    line = fails_in_one_line(
        "survey_graph", *_arguments(graph, corpus), "--resolution=0", output
    )
    assert "resolution must be from 0.0001 to 10000" in line
    assert not (tmp_path / "no").exists()
