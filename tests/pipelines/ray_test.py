"""Commands on a Ray cluster of two nodes, of which one dies while they work."""

import pytest
from dying_nodes import KillWhenBusy

pytest.importorskip("ray", reason="no Ray: pip install 'dc_keras[cluster]'")


def _files(directory):
    return {
        path.relative_to(directory): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def run_while_a_node_dies(run_script, two_nodes):
    address, kill = two_nodes

    def run(*flags):
        killer = KillWhenBusy(kill)
        killer.start()
        done = run_script(*flags, "--runner=ray", f"--ray_address={address}")
        killer.stop()
        assert done.returncode == 0, done.stderr
        assert killer.has_killed

    return run


@pytest.mark.long
def test_folds_fitted_while_a_node_dies_are_those_of_this_machine(
    run_script, run_while_a_node_dies, data, tmp_path
):
    flags = (
        *("evaluate", *data, "--split=random_pair", "--num_folds=2", "--seeds=1"),
        *("--epochs=2", "--models=deepChallenger", "--models=proxies"),
    )
    for workers in (1, 2):
        output = f"--output={tmp_path}/{workers}"
        done = run_script(*flags, f"--workers={workers}", output)
        assert done.returncode == 0, done.stderr
    run_while_a_node_dies(*flags, f"--output={tmp_path}/ray")
    one = _files(tmp_path / "1")
    assert sum("predictions" in path.parts for path in one) == 2
    assert one == _files(tmp_path / "2") == _files(tmp_path / "ray")


@pytest.mark.long
def test_users_predicted_while_a_node_dies_are_those_of_this_machine(
    chain, run_while_a_node_dies, bundle, corpus, tmp_path
):
    flags = (f"--bundle={bundle.output}", f"--corpus={corpus.output}", "--num_shards=4")
    here = chain("predict", *flags, output="predicted_here")
    run_while_a_node_dies("predict", *flags, f"--output={tmp_path}/ray")
    assert len(list(here.output.glob("*.parquet"))) == 4
    assert _files(here.output) == _files(tmp_path / "ray")


@pytest.mark.long
def test_users_ranked_on_ray_are_those_of_this_machine(
    run_script, cluster, bundle, corpus, tmp_path
):
    flags = (
        *("rank", f"--bundle={bundle.output}", f"--corpus={corpus.output}"),
        *("--brief=open an umbrella on the beat", "--num_shards=2"),
    )
    ray = ("--runner=ray", f"--ray_address={cluster.address}")
    for name, more in (("here", ["--workers=2"]), ("ray", ray)):
        place = tmp_path / name
        output = f"--users={place}/users", f"--output={place}/seeds.csv"
        done = run_script(*flags, *more, *output)
        assert done.returncode == 0, done.stderr
    assert len(_files(tmp_path / "here")) == 6
    assert _files(tmp_path / "here") == _files(tmp_path / "ray")


@pytest.mark.long
def test_exports_read_while_a_node_dies_give_the_corpus_of_one_process(
    run_script, run_while_a_node_dies, tmp_path
):
    for number in range(6):  # each is a unit
        rows = (
            f"{6_871_947_673_600_000_077 + 40_000_000 * ((row + number) % 12_000)},"
            f"user{row % 50},{row},{'a caption of many words ' * 8}#tag{row % 9}"
            for row in range(12_000)
        )
        text = "\n".join(("video_id,username,likes,caption", *rows))
        (tmp_path / f"{number}.csv").write_text(text)
    flags = ("import_corpus", f"--input={tmp_path}/*.csv", f"--key_file={tmp_path}/key")
    printed = []
    for workers in (1, 2):
        corpus = f"--corpus={tmp_path}/{workers}/corpus"
        done = run_script(*flags, f"--workers={workers}", corpus)
        assert done.returncode == 0, done.stderr
        printed.append(done.stdout.replace(f"{tmp_path}/{workers}", ""))
    run_while_a_node_dies(*flags, f"--corpus={tmp_path}/ray/corpus")
    one = _files(tmp_path / "1")
    assert "12000 posts, 50 people" in printed[0]
    assert printed[0] == printed[1]
    assert one == _files(tmp_path / "2") == _files(tmp_path / "ray")
