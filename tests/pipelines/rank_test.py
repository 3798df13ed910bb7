import json

import polars as pl
import pytest


@pytest.fixture(scope="module")
def flags(bundle, corpus, tmp_path_factory):
    users = tmp_path_factory.mktemp("rank") / "users"
    return [
        f"--bundle={bundle.output}",
        f"--corpus={corpus.output}",
        *(f"--users={users}", "--num_shards=3"),
    ]


@pytest.fixture(scope="module")
def ranked(chain, flags, bundle):
    config = json.loads((bundle.output / "1" / "config.json").read_text("utf-8"))
    name = config["challenges"][0]
    ran = chain("rank", *flags, f"--challenge={name}", "--budget=5", output="seeds.csv")
    return ran, pl.read_csv(ran.output), name


def test_the_likeliest_come_first(ranked, chain, corpus, bundle):
    ran, table, name = ranked
    assert table.columns == ["rank", "user_id", "community", "probability"]
    assert table["rank"].to_list() == [1, 2, 3, 4, 5]
    assert table["probability"].is_sorted(descending=True)
    assert "are expected to join, 90% between" in ran.stdout
    predicted = chain(
        "predict",
        f"--bundle={bundle.output}",
        f"--corpus={corpus.output}",
        f"--challenge={name}",
        output="of_one.csv",
    )
    told = pl.read_csv(predicted.output).sort("probability", descending=True)
    assert table["probability"].to_list() == pytest.approx(
        told["probability"].head(5).to_list(), abs=1e-5
    )


def test_users_are_kept_for_the_same_corpus_and_shards(
    ranked, flags, fails_in_one_line, tmp_path
):
    asked = (f"--challenge={ranked[2]}", f"--output={tmp_path}/no.csv")
    line = fails_in_one_line("rank", *flags, "--num_shards=2", *asked)
    assert "choose another --users, or remove it. Received: num_shards=2" in line
    line = fails_in_one_line("rank", *flags, "--workers=4", *asked)
    assert line.startswith("--num_shards must be at least --workers.")
    line = fails_in_one_line("rank", *flags[:2], "--runner=ray", *asked)
    assert line.startswith("--runner=ray needs --users")


def test_a_brief_and_communities_spread_the_budget(chain, flags, ranked, tmp_path):
    _, table, _ = ranked
    groups = tmp_path / "communities.csv"
    pl.DataFrame({"user_id": table["user_id"], "community": ["0"] * 5}).write_csv(
        groups
    )
    ran = chain(
        "rank",
        *flags,
        "--brief=open an umbrella on the beat",
        f"--communities={groups}",
        "--budget=5",
        output="umbrella.csv",
    )
    chosen = pl.read_csv(ran.output, infer_schema=False)
    assert (chosen["community"] == "0").sum() < 5


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        (["--challenge=chess"], "challenge='chess'"),
        ([], "give either --challenge"),
        (["--video=nothing.mp4"], "--video must be a video file"),
        (["--video=README.md"], "--video must be a video file"),
        (["--brief=spin", "--communities=README.md"], "columns user_id and community"),
    ],
)
def test_what_cannot_be_ranked_is_one_line(
    fails_in_one_line, flags, ranked, tmp_path, asked, wanted
):
    line = fails_in_one_line("rank", *flags, *asked, f"--output={tmp_path}/no.csv")
    assert wanted in line
    assert not (tmp_path / "no.csv").exists()


def test_users_and_output_are_two_places(fails_in_one_line, flags, tmp_path):
    place = tmp_path / "x"
    line = fails_in_one_line(
        "rank", *flags, "--brief=spin", f"--users={place}", f"--output={place}"
    )
    assert line.startswith("--users and --output must be two places")


@pytest.mark.long
def test_a_server_ranks_as_the_bundle_does(
    chain, ranked, bundle, corpus, served_bundle
):
    _, table, name = ranked
    ran = chain(
        "rank",
        f"--bundle={bundle.output}",
        f"--corpus={corpus.output}",
        f"--server={served_bundle['grpc']}",
        "--served_name=dc",
        f"--challenge={name}",
        "--budget=5",
        output="served_seeds.csv",
    )
    served = pl.read_csv(ran.output)
    assert served["user_id"].to_list() == table["user_id"].to_list()
    assert served["probability"].to_list() == pytest.approx(
        table["probability"].to_list(), abs=1e-5
    )
