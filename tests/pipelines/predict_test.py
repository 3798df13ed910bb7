import shutil
from types import SimpleNamespace

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from dc_keras.corpus.store import Corpus
from dc_keras.errors import DataError
from dc_keras.study import resolution
from pipelines._cli import user_shards
from tfrecords.storage.checksums import read_sums, seal_directory, write_sums


@pytest.fixture(scope="module")
def flags(bundle, corpus):
    return [f"--bundle={bundle.output}", f"--corpus={corpus.output}"]


@pytest.fixture(scope="module")
def predictions(chain, flags):
    ran = chain("predict", *flags, output="predictions.csv")
    return ran, pl.read_csv(ran.output)


def test_all_users_and_challenges_are_the_default(predictions, corpus):
    ran, table = predictions
    assert table.columns == ["user_id", "challenge", "probability"]
    assert table.select("user_id", "challenge").is_unique().all()
    assert table["challenge"].n_unique() == 3
    assert len(table) == 3 * table["user_id"].n_unique()
    assert table["probability"].is_between(0, 1).all()
    known = pl.read_parquet(corpus.output / "users.parquet")["user_id"]
    assert set(table["user_id"]) <= set(known)
    assert len(ran.stdout.splitlines()) == len(table) + 1


@pytest.fixture(scope="module")
def shards(chain, flags):
    return chain("predict", *flags, "--num_shards=3", output="shards")


def test_shards_of_users_are_the_predictions(shards, predictions):
    paths = sorted(shards.output.glob("*.parquet"))
    assert [path.name for path in paths] == [
        f"predictions-0000{index}-of-00003.parquet" for index in range(3)
    ]
    table = pl.concat(map(pl.read_parquet, paths))
    assert table["user_id"].is_sorted()
    told = predictions[1].sort("user_id", maintain_order=True)
    assert_frame_equal(
        table, told.with_columns(pl.col("probability").cast(pl.Float32)), abs_tol=1e-6
    )
    assert shards.stdout == f"{shards.output}: {len(table)} predictions in 3 files\n"


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.long)])
def test_missing_shards_are_written_by_any_number_of_processes(
    run_script, flags, shards, tmp_path, workers
):
    output = tmp_path / "shards"
    shutil.copytree(shards.output, output)
    kept, *others = sorted(output.glob("*.parquet"))
    for path in others:
        path.unlink()
    sums = read_sums(output / "SHA256SUMS")
    write_sums(
        output / "SHA256SUMS", {name: sums[name] for name in ("config.json", kept.name)}
    )
    state = kept.stat()
    more = ("--num_shards=3", f"--workers={workers}", f"--output={output}")
    done = run_script("predict", *flags, *more)
    assert done.returncode == 0, done.stderr
    assert kept.stat().st_mtime_ns == state.st_mtime_ns
    assert {path.name: path.read_bytes() for path in output.iterdir()} == {
        path.name: path.read_bytes() for path in shards.output.iterdir()
    }


def test_a_shard_of_a_changed_corpus_is_refused(corpus, tmp_path, monkeypatch):
    predictor = SimpleNamespace(study=None, sampling=None)
    monkeypatch.setattr(user_shards.bundles, "load", lambda _: predictor)
    monkeypatch.setattr(user_shards.raw_posts, "of_users", lambda *_, **__: [])
    monkeypatch.setattr(resolution, "user_histories", lambda *_: {})
    shards = user_shards.UserShards(tmp_path, "output", "predictions", len, {}, {})
    before = Corpus.open(corpus.output).info
    for number, info in enumerate([before, {**before, "counts": {}}]):
        shard = user_shards._Shard(tmp_path / f"{number}.parquet", ())
        arguments = (shards, None, corpus.output, info, None, True, shard)
        if info == before:
            user_shards._write_shard(*arguments)
        else:
            with pytest.raises(DataError, match="was changed by another process"):
                user_shards._write_shard(*arguments)
    assert [path.name for path in tmp_path.iterdir()] == ["0.parquet"]


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        (["--num_shards=2"], "choose another --output, or remove it. Received: num_sh"),
        (["--num_shards=3", "--workers=4"], "--num_shards must be at least --workers"),
        (["--workers=2"], "Received: num_shards=None, workers=2"),
        (["--runner=ray"], "--runner=ray needs --num_shards"),
    ],
)
def test_shards_that_do_not_fit_are_one_line(
    fails_in_one_line, flags, shards, asked, wanted
):
    line = fails_in_one_line("predict", *flags, f"--output={shards.output}", *asked)
    assert wanted in line


def test_a_challenge_of_one_user_is_the_same_answer(
    run_script, flags, predictions, world, key_file
):
    user, challenge, probability = predictions[1].row(0)
    done = run_script("predict", *flags, f"--user={user}", f"--challenge={challenge}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [user, challenge, f"{probability:.3f}"]


def test_what_the_corpus_knows_is_sent(predictions, chain, flags, corpus, tmp_path):
    user, challenge, probability = predictions[1].row(0)
    changed = tmp_path / "corpus"
    shutil.copytree(corpus.output, changed)
    videos = pl.read_parquet(changed / "videos.parquet")
    unknown = [
        pl.lit(None, videos.schema[name]).alias(name)
        for name in ("views", "likes", "music_id", "music_title", "duration_s")
    ]
    videos.with_columns(unknown).write_parquet(changed / "videos.parquet")
    seal_directory(changed)
    names = f"--user={user}", f"--challenge={challenge}"
    ran = chain(
        "predict", flags[0], f"--corpus={changed}", *names, output="of_unknown.csv"
    )
    [told] = pl.read_csv(ran.output)["probability"]
    assert abs(told - probability) > 1e-6


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [("--user=nobody", "'nobody' is no user"), ("--challenge=chess", "chess")],
)
def test_unknown_users_and_challenges_are_reported(
    fails_in_one_line, flags, asked, wanted
):
    assert wanted in fails_in_one_line("predict", *flags, asked)


def test_a_directory_without_a_bundle_is_reported(fails_in_one_line, corpus, tmp_path):
    line = fails_in_one_line(
        "predict", f"--bundle={tmp_path}", f"--corpus={corpus.output}"
    )
    assert str(tmp_path) in line


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_a_server_answers_as_the_bundle_does(
    chain, flags, predictions, served_bundle, protocol
):
    user, challenge, _ = predictions[1].row(0)
    asked = f"--user={user}", f"--challenge={challenge}"
    served = chain(
        "predict",
        *flags,
        *asked,
        f"--server={served_bundle[protocol]}",
        "--served_name=dc",
        output=f"by_{protocol}.csv",
    )
    table = pl.read_csv(served.output)
    assert table.row(0)[2] == pytest.approx(predictions[1].row(0)[2], abs=1e-5)


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        (["--served_name=dc"], "--served_name needs --server"),
        (["--server=localhost:8500"], "must begin with http://, https:// or grpc://"),
        (["--server=http://127.0.0.1:9"], "a model server must be reachable"),
    ],
)
def test_an_unreachable_server_is_one_line(fails_in_one_line, flags, asked, wanted):
    assert wanted in fails_in_one_line("predict", *flags, *asked)
