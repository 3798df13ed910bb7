import numpy as np
import polars as pl
import pytest

from dc_keras.social.graph_store import read_graph

_FLAGS = (
    "--layer=co-challenge",
    "--layer=co-sound",
    "--layer=mention",
    "--weighting=jaccard",
)


@pytest.fixture(scope="module")
def graph(chain, corpus, study):
    return chain(
        "build_graph",
        f"--corpus={corpus.output}",
        study,
        *_FLAGS,
        output="graph",
    )


def test_a_world_becomes_a_graph(graph):
    found, info = read_graph(graph.output)
    assert len(found.users) == info["num_users"] == 40
    assert found.layer("co-challenge").num_edges > 0
    assert info["plan"]["weighting"] == "jaccard"
    *layers, last = graph.stdout.splitlines()
    assert [line.split(":")[0] for line in layers] == [
        *("co-challenge", "co-sound", "mention")
    ]
    assert last.endswith(": 40 users")


def test_a_second_run_writes_the_same_bytes(chain, corpus, study, graph):
    def files(place):
        return {p.name: p.read_bytes() for p in place.rglob("*") if p.is_file()}

    before = files(graph.output)
    again = chain(
        "build_graph",
        f"--corpus={corpus.output}",
        study,
        *_FLAGS,
        output="graph",
    )
    assert files(again.output) == before


def test_seconds_and_spells_are_in_the_graph(chain, corpus):
    flags = (f"--corpus={corpus.output}", "--layer=co-hashtag", "--layer=mention")
    narrow = ("--within_seconds=86400", "--min_participation=2", "--snapshot_days=7")
    ran = chain("build_graph", *flags, *narrow, output="graph_within")
    found, info = read_graph(ran.output)
    assert info["plan"]["within_s"] == 86_400
    assert info["plan"]["min_participation"] == 2
    assert info["snapshot_days"] == 7
    assert f"spells of at least 7 days: {found.spells.height}" in ran.stdout
    assert set(found.spells["layer"]) == {"co-hashtag", "mention"}
    lengths = found.spells["end"] - found.spells["start"]
    assert (lengths % (7 * 86_400) == 0).all()
    wide, _ = read_graph(chain("build_graph", *flags, output="graph_any").output)
    layers = [graph.layer("co-hashtag") for graph in (found, wide)]
    assert 0 < layers[0].num_edges < layers[1].num_edges


@pytest.mark.parametrize(
    ("flag", "wanted"),
    [
        ("--layer=co-hat", "layers=co-hat"),
        ("--layer=co-challenge", "need the challenges of a Study"),
        ("--start=yesterday", "must be a date"),
    ],
)
def test_what_cannot_be_built_is_one_line(
    fails_in_one_line, corpus, tmp_path, flag, wanted
):
    line = fails_in_one_line(
        "build_graph", f"--corpus={corpus.output}", flag, f"--output={tmp_path}/no"
    )
    assert wanted in line
    assert not (tmp_path / "no").exists()


def test_representations_of_a_model_are_a_layer_of_their_own(chain, corpus, tmp_path):
    users = pl.read_parquet(corpus.output / "users.parquet")["user_id"]
    vectors = np.random.default_rng(0).standard_normal((len(users), 4))
    path = tmp_path / "users.parquet"
    pl.DataFrame({"user_id": users, "prepared": pl.Series(vectors)}).write_parquet(path)
    made = chain(
        "build_graph",
        f"--corpus={corpus.output}",
        "--layer=mention",
        f"--representations={path}",
        "--top_k=3",
        output="similar_users",
    )
    graph, info = read_graph(made.output)
    assert [layer.name for layer in graph.layers] == ["mention", "similar"]
    degree = np.diff(graph.layers[1].weights.indptr)
    assert degree.min() >= 1
    assert graph.layers[1].num_edges >= 1.5 * len(users)
    assert info["representations"] == str(path)


def test_no_other_artifact_is_overwritten(fails_in_one_line, corpus):
    place = f"--corpus={corpus.output}", f"--output={corpus.output}"
    line = fails_in_one_line("build_graph", *place)
    assert "contains another artifact, of kind corpus, which would be destroyed" in line
