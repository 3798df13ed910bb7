import json

import polars as pl
import pytest

pytest.importorskip("igraph", reason="the extra `social` is not installed")
pytest.importorskip("plotly", reason="the extra `report` is not installed")


@pytest.fixture(scope="module")
def flags(chain, corpus, study):
    arguments = (f"--corpus={corpus.output}", "--layer=co-hashtag", "--layer=co-sound")
    graph = chain("build_graph", *arguments, output="graph_of_reach")
    return f"--graph={graph.output}", f"--corpus={corpus.output}", study


@pytest.fixture(scope="module")
def seeds(corpus, tmp_path_factory):
    users = pl.read_parquet(corpus.output / "users.parquet")["user_id"]
    path = tmp_path_factory.mktemp("reach") / "seeds.csv"
    rows = {"rank": [1, 2], "user_id": users[:2], "community": ["", ""]}
    pl.DataFrame({**rows, "probability": [1.0, 0.5]}).write_csv(path)
    everybody = path.with_name("everybody.csv")
    pl.DataFrame({"user_id": users, "probability": 0.3}).write_csv(everybody)
    return f"--seeds={path}", f"--probabilities={everybody}"


@pytest.fixture(scope="module")
def ran(chain, flags, seeds):
    few = ("--num_seeds=3", "--num_runs=20", "--num_shuffles=19")
    return chain("reach", *flags, *seeds, *few, output="reach")


def test_past_challenges_are_backtested_and_seeds_forecast(ran):
    assert {path.name for path in ran.output.iterdir()} == {
        *("reach.html", "reach.json", "replication.csv", "along_ties.csv"),
        *(
            "SHA256SUMS",
            "backtest.csv",
            "backtest_summary.csv",
            "what_if.csv",
            "users.csv",
        ),
    }
    content = json.loads((ran.output / "reach.json").read_text("utf-8"))
    assert content["num_seeds"] == 3
    assert content["plan"]["layers"] == ["co-hashtag", "co-sound"]
    found = [row["challenge"] for row in content["backtest"]["challenges"]]
    assert len(found) + len(content["left_out"]) == 3
    assert content["what_if"]["num_seeds"] == 2
    assert content["what_if"]["expected_seeds"] == 1.5
    assert content["what_if"]["contagion"] == content["backtest"]["contagion"]
    users = pl.read_csv(ran.output / "users.csv")
    assert (users.height, users["chance"].max()) == (40, 1.0)
    page = (ran.output / "reach.html").read_text("utf-8")
    assert '<span class="badge">synthetic</span>' in page
    assert "along ties: p of at most 0.05 in" in ran.stdout
    assert "0 of 40 users have no probability" in ran.stdout
    assert "2 seeds, of whom 1.5 are expected to join" in ran.stdout
    assert content["what_if"]["forecast"]["method"] in ("cascade", "mean")
    # All 40 users have the probability 0.3.
    assert "The command rank would forecast 12.0" in ran.stdout


def test_without_seeds_or_a_past_there_is_less(chain, flags):
    # Of 40 users not one challenge has 41.
    many = ("--num_seeds=41", "--num_shuffles=19", "--layer=co-sound")
    ran = chain("reach", *flags, *many, output="less_reach")
    assert {path.name for path in ran.output.iterdir()} == {
        *("reach.html", "reach.json", "replication.csv", "along_ties.csv"),
        "SHA256SUMS",
    }
    assert "no backtest: it needs two past challenges, found 0" in ran.stdout
    content = json.loads((ran.output / "reach.json").read_text("utf-8"))
    assert set(content["left_out"].values()) == {"fewer than 41 adopters"}
    assert content["plan"]["layers"] == ["co-sound"]


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        (["--layer=mention"], "layer must be one of ['co-hashtag', 'co-sound']"),
        (["--num_seeds=41", "SEEDS"], "--seeds needs --contagion"),
        (["--seeds=README.md"], "README.md must be a CSV file with user_id"),
        (["--probabilities=README.md"], "--probabilities needs --seeds"),
        (["--graph=docs"], "must be a graph of build_graph"),
    ],
)
def test_what_has_no_reach_is_one_line(
    fails_in_one_line, flags, seeds, tmp_path, asked, wanted
):
    asked = [seeds[0] if flag == "SEEDS" else flag for flag in asked]
    line = fails_in_one_line("reach", *flags, *asked, f"--output={tmp_path}/no")
    assert wanted in line
    assert not (tmp_path / "no").exists()


def test_a_study_of_another_corpus_is_one_line(
    fails_in_one_line, flags, misspelled_study, tmp_path
):
    study, right = misspelled_study
    line = fails_in_one_line(
        "reach", *flags, f"--study={study}", f"--output={tmp_path}/no"
    )
    assert f"most similar hashtags of the corpus: #{right}, #" in line
