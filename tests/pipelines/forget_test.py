import hashlib
import json
import re
import shutil
import signal
import zipfile
from collections import Counter
from functools import partial
from types import SimpleNamespace

import polars as pl
import pytest

from dc_keras.corpus.pseudonyms import Pseudonymizer, post_code
from dc_keras.social.graph_store import read_graph
from tfrecords.storage.checksums import read_sums
from tfrecords.storage.locking import writing

_NAMES = ("corpus", "frames", "features", "colours", "model", "export", "evaluation")


@pytest.fixture(scope="module")
def evaluation(chain, data):
    return chain(
        "evaluate",
        *data,
        "--models=simple",
        "--num_folds=2",
        "--seeds=1",
        output="evaluation_to_forget",
    )


@pytest.fixture(scope="module")
def gone(world, key_file, evaluation):
    """A user of the panel whom others mention, and a post that describes a challenge."""
    code = Pseudonymizer(bytes.fromhex(key_file.read_text()))
    of_post = partial(post_code, code.fingerprint)
    lines = (world.output / "items.ndjson").read_text("utf-8").splitlines()
    items = [json.loads(line) for line in lines]
    (path,) = (evaluation.output / "manifests").glob("*.json")
    manifest = json.loads(path.read_text("utf-8"))["grid"]
    ids = {item["author"]["uniqueId"]: item["author"]["id"] for item in items}
    mentioned = Counter(h for i in items for h in re.findall(r"@([\w.]+)", i["desc"]))
    handle = next(
        handle
        for handle, _ in mentioned.most_common()
        if handle in ids and code.user(ids[handle]) in manifest["users"]
    )
    # The key decides who describes a challenge, so some have nobody.
    post = next(videos[0] for videos in manifest["support"] if videos)
    posts = [i["id"] for i in items if i["author"]["uniqueId"] == handle]
    codes = [code.user(ids[handle]), code.handle(handle), code.mention(handle)]
    return SimpleNamespace(
        handle=handle,
        post=post,
        num_posts=len({post, *posts}),
        everything=[ids[handle], handle, post, *posts, *map(of_post, posts), *codes],
        code=of_post(post),
        fingerprints=[code.forgotten(f"@{handle}"), code.forgotten(post)],
    )


@pytest.fixture(scope="module")
def flags(tmp_path_factory, gone, key_file):
    ids = tmp_path_factory.mktemp("ids") / "remove.txt"
    ids.write_text(f"# asked today\n@{gone.handle}\n{gone.post}  # gone\n@nobody\n")
    return [f"--ids={ids}", f"--key_file={key_file}"]


@pytest.fixture(scope="module")
def graph(chain, corpus):
    # All ties, so that whoever is to go has some.
    flags = [f"--corpus={corpus.output}", "--layer=co-sound", "--layer=mention"]
    return chain("build_graph", *flags, "--backbone=disparity", output="ties_to_forget")


@pytest.fixture(scope="module")
def survey(chain, corpus, graph):
    flags = [f"--graph={graph.output}", f"--corpus={corpus.output}", "--format=csv"]
    return chain("survey_graph", *flags, output="survey_to_forget")


@pytest.fixture(scope="module")
def reach(chain, corpus, study, graph, tmp_path_factory):
    users = pl.read_parquet(corpus.output / "users.parquet")["user_id"]
    seeds = tmp_path_factory.mktemp("seeds") / "seeds.csv"
    pl.DataFrame({"user_id": users}).write_csv(seeds)
    flags = [f"--graph={graph.output}", f"--corpus={corpus.output}", study]
    flags += [f"--seeds={seeds}", "--contagion=0.5", "--num_shuffles=9"]
    return chain("reach", *flags, "--num_seeds=99", output="reach_to_forget")


@pytest.fixture(scope="module")
def run(tmp_path_factory, request, evaluation, bundle, graph, survey, reach):
    """A copy of all artifacts that may be changed."""
    directory = tmp_path_factory.mktemp("run")
    places = {name: request.getfixturevalue(name) for name in _NAMES[:5]}
    places |= {"export": bundle, "evaluation": evaluation}
    places |= {"graph": graph, "survey": survey, "reach": reach}
    for name, made in places.items():
        shutil.copytree(made.output, directory / name)
    return directory


@pytest.fixture(scope="module")
def dry(run_script, run, flags):
    before = _bytes(run)
    done = run_script("forget", *flags, f"--artifacts={run}", "--dry_run")
    assert done.returncode == 0, done.stderr
    assert _bytes(run) == before
    return done


@pytest.fixture(scope="module")
def stopped(fails_in_one_line, run, flags, dry):
    """A run that is interrupted by an unreadable file of predictions."""
    broken = min(run.glob("evaluation/predictions/*.parquet"))
    whole = broken.read_bytes()
    broken.write_bytes(b"broken")
    line = fails_in_one_line("forget", *flags, f"--artifacts={run}")
    broken.write_bytes(whole)
    return line


@pytest.fixture(scope="module")
def forgot(run_script, run, flags, stopped):
    done = run_script("forget", *flags, f"--artifacts={run}")
    assert done.returncode == 0, done.stderr
    return done


def _bytes(directory):
    return {p: p.read_bytes() for p in sorted(directory.rglob("*")) if p.is_file()}


def _decoded(path):
    """Returns the bytes of a file, raw and decoded."""
    yield path.read_bytes()
    if path.suffix == ".parquet":
        yield pl.read_parquet(path).write_json().encode()
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            yield from map(archive.read, archive.namelist())


def test_a_dry_run_prints_what_would_be_removed(dry, run, gone):
    for name in ("frames", "features", "colours"):
        assert f"{run}/{name}: " in dry.stdout
    assert f"{run}/corpus: corpus, {gone.num_posts} posts, 1 people" in dry.stdout
    assert "nothing was changed: --dry_run" in dry.stdout


def test_the_same_command_resumes_an_interrupted_run(stopped, forgot, run):
    assert "damaged: its content has changed; restore it" in stopped
    assert f"{run}/frames: frames, nothing to remove" in forgot.stdout  # done before
    assert f"{run}/corpus: corpus, " in forgot.stdout


def test_nothing_of_the_forgotten_is_left_in_any_file(forgot, run, gone):
    words = [word.encode() for word in gone.everything]
    for path in _bytes(run):
        found = [w for content in _decoded(path) for w in words if w in content]
        assert found == [], path


def test_models_and_bundles_lose_the_codes_of_forgotten_posts(forgot, run, gone, model):
    # The post describes a challenge, unless the model kept its author for validation.
    described = (model.output / "config.json").read_text("utf-8")
    place = run / "export" / "1"
    for path in (run / "model" / "config.json", place / "config.json"):
        text = path.read_text("utf-8")
        assert gone.code not in text
        assert ("u_forgotten" in text) == (gone.code in described)
    for name, digest in read_sums(place / "SHA256SUMS").items():
        assert hashlib.sha256((place / name).read_bytes()).hexdigest() == digest, name


def test_models_trained_on_them_are_listed(forgot, run):
    for name in ("model", "export/1"):
        assert f"{run}/{name}: trained on removed content: retrain or delete" in (
            forgot.stdout
        )
    assert f"{run}/evaluation/tables: no longer" in forgot.stdout
    assert "line 4 is in no corpus" in forgot.stdout


def test_they_are_removed_from_the_graph_and_its_survey_is_deleted(forgot, run):
    graph, info = read_graph(run / "graph")
    assert len(graph.users) == info["num_users"] == 39
    assert f"{run}/graph: graph, 1 rows" in forgot.stdout
    assert re.search(
        rf"{run}/survey: survey, \d files; run survey_graph", forgot.stdout
    )
    assert not (run / "survey").exists()
    # All users are seeds, so that the page may have named the one who is gone.
    assert pl.read_csv(run / "reach" / "users.csv").height == 39
    assert re.search(rf"{run}/reach: reach, 1 rows, \d files", forgot.stdout)


def test_the_receipt_answers_who_has_the_key(forgot, run, gone):
    [path] = run.glob("corpus/forget-receipt-*.json")
    assert f"{path}: the receipt" in forgot.stdout
    receipt = json.loads(path.read_text("utf-8"))
    found = [r["fingerprint"] for r in receipt["requests"] if r["found"]]
    assert found == gone.fingerprints


def test_the_records_are_those_of_a_fresh_run(forgot, run, run_script, tmp_path):
    flags = [f"--corpus={run}/corpus", "--num_frames=2", "--image_size=32"]
    flags += ["--num_shards=2", "--workers=1"]
    for place, num_done in ((tmp_path / "fresh", 0), (run / "frames", 2)):
        done = run_script("write_tfrecords", *flags, f"--output={place}")
        assert f"in 2 shards ({num_done} done before)" in done.stdout, done.stderr
    fresh, left = (
        {path.name: content for path, content in _bytes(place).items()}
        for place in (tmp_path / "fresh", run / "frames")
    )
    assert left == fresh
    for name in ("features", "colours"):
        done = run_script("verify_tfrecords", f"--records={run}/{name}")
        assert "no faults" in done.stdout


def test_a_second_run_changes_no_byte(forgot, run, run_script, flags):
    before = _bytes(run)
    done = run_script("forget", *flags, f"--artifacts={run}")
    assert done.returncode == 0, done.stderr
    assert "nothing to remove" in done.stdout
    assert _bytes(run) == before


def test_an_import_does_not_bring_them_back(
    forgot, run, run_script, world, key_file, gone
):
    tables = ("videos.parquet", "users.parquet", "ties.parquet")
    before = [(run / "corpus" / name).read_bytes() for name in tables]
    done = run_script(
        "import_corpus",
        f"--input={world.output}/items.ndjson",
        f"--key_file={key_file}",
        f"--corpus={run}/corpus",
    )
    assert f"+ {gone.num_posts} forgotten" in done.stdout
    assert [(run / "corpus" / name).read_bytes() for name in tables] == before


@pytest.fixture
def copy(corpus, tmp_path):
    return shutil.copytree(corpus.output, tmp_path / "corpus")


def test_posts_that_are_no_longer_valid_go(run_script, copy, key_file, tmp_path):
    posts = pl.read_parquet(copy / "videos.parquet")["video_id"]
    flags = [f"--key_file={key_file}", f"--artifacts={copy}"]
    for name, there in (("a", posts[5:50]), ("b", posts[50:])):
        (tmp_path / name).write_text("\n".join(there))
        flags.append(f"--valid_ids={tmp_path / name}")
    done = run_script("forget", *flags, f"--receipt={tmp_path}/receipt.json")
    assert done.returncode == 0, done.stderr
    left = pl.read_parquet(copy / "videos.parquet")["video_id"]
    assert left.to_list() == posts[5:].to_list()
    receipt = json.loads((tmp_path / "receipt.json").read_text("utf-8"))
    assert (receipt["rule"], len(receipt["requests"])) == ("valid video", 5)


def test_a_remaining_trace_fails_and_is_reported(run_script, copy, key_file, tmp_path):
    post = pl.read_parquet(copy / "videos.parquet")["video_id"][0]
    notes = copy / "notes.txt"
    notes.write_text(f"look at {post} again")
    (tmp_path / "ids.txt").write_text(post)
    flags = [f"--ids={tmp_path}/ids.txt", f"--key_file={key_file}"]
    done = run_script("forget", *flags, f"--artifacts={copy}")
    assert done.returncode == 1
    assert f"{notes}: still contains an id or a code" in done.stdout
    assert not list(copy.glob("forget-receipt-*"))
    notes.unlink()
    done = run_script("forget", *flags, f"--artifacts={copy}")
    assert done.returncode == 0, done.stderr
    [path] = copy.glob("forget-receipt-*")
    # Nothing of the post was left for the second run: the first one had found it.
    assert [r["found"] for r in json.loads(path.read_text())["requests"]] == [True]
    assert "is in no corpus" not in done.stdout


def test_a_foreign_file_below_the_directory_is_looked_through(
    run_script, copy, world, key_file, gone, flags
):
    export = copy.parent / "exports" / "items.ndjson"
    export.parent.mkdir()
    shutil.copy(world.output / "items.ndjson", export)
    done = run_script("forget", *flags, f"--artifacts={copy.parent}")
    assert done.returncode == 1
    assert f"{export}: still contains an id or a code" in done.stdout
    assert gone.handle not in done.stdout + done.stderr


def test_what_another_process_writes_is_not_cleaned(
    fails_in_one_line, copy, flags, tmp_path
):
    export = tmp_path / ".new-import-abcd1234"
    export.mkdir()
    for place in ("predictions.csv", "deep/shards", "new"):
        with writing(tmp_path / place):
            line = fails_in_one_line("forget", *flags, f"--artifacts={tmp_path}")
        assert line.startswith(f"{tmp_path / place}: another process is writing there")
    assert not (copy / "forgotten.json").exists()
    assert export.exists()


def test_what_killed_processes_left_is_removed(run_script, copy, flags, gone, tmp_path):
    shards = tmp_path / "shards"
    shards.mkdir()
    (shards / "config.json").write_text('{"users_sha256": "0"}')
    half = shards / ".predictions-00000-of-00001.parquet.abcd.tmp"
    # Of an import into a corpus that does not exist yet.
    units = tmp_path / ".new-import-abcd1234" / "unit-abcd1234" / "posts.arrow"
    units.parent.mkdir(parents=True)
    (tmp_path / ".new.lock").write_text("12345")
    for path in (half, units):
        path.write_text(gone.post)
    done = run_script("forget", *flags, f"--artifacts={tmp_path}")
    assert done.returncode == 0, done.stderr
    assert not half.exists()
    assert list(tmp_path.glob(".*")) == []


@pytest.fixture
def small_run(copy, graph, survey):
    run = copy.parent / "run"
    shutil.move(copy, run / "corpus")
    shutil.copytree(graph.output, run / "graph")
    shutil.copytree(survey.output, run / "survey")
    return run


def _kills(run_script, run, flags, steps):
    """Removes from a copy in a killed run and a second run; yields the result."""
    for step in steps:
        place = run.with_name(f"run{step}")
        shutil.copytree(run, place)
        receipt = run.with_name("receipt.json")
        given = [*flags, f"--artifacts={place}", f"--receipt={receipt}"]
        killed = run_script("forget", *given, kill_at=step)
        done = run_script("forget", *given)
        assert done.returncode == 0, done.stderr
        # The lock file of a killed process locks nobody out, and names nobody.
        left = {
            path.relative_to(place): content
            for path, content in _bytes(place).items()
            if path.suffix != ".lock"
        }
        yield killed.returncode, left, json.loads(receipt.read_text())["requests"]
        shutil.rmtree(place)


@pytest.mark.parametrize(
    "steps", [(9, 38), pytest.param(range(0, 100, 2), marks=pytest.mark.long)]
)
def test_a_removal_killed_at_a_change_of_the_disk_is_finished_by_the_same_command(
    run_script, small_run, flags, steps
):
    [(code, expected, requests)] = _kills(run_script, small_run, flags, [10**6])
    assert code == 0
    codes = set()
    for code, left, again in _kills(run_script, small_run, flags, steps):
        codes.add(code)
        assert left == expected
        assert again == requests
    assert -signal.SIGKILL in codes


def test_errors_are_one_line(fails_in_one_line, copy, frames, key_file, tmp_path):
    ids = tmp_path / "ids.txt"
    ids.write_text("6871947673600000077\n")
    asked, key = f"--ids={ids}", f"--key_file={key_file}"
    place = f"--artifacts={copy}"
    line = fails_in_one_line("forget", key, place)
    assert line.startswith("exactly one of --ids and --valid_ids must be given")
    line = fails_in_one_line("forget", asked, f"--artifacts={frames.output}", key)
    assert line.startswith("a corpus must be among the artifacts")
    line = fails_in_one_line("forget", asked, place, f"--key_file={tmp_path}/none")
    assert line.startswith("--key_file must be the key that import_corpus used")
    line = fails_in_one_line("forget", f"--valid_ids={ids}", place, key)
    assert line.startswith("more than half of the posts would be removed")
    assert not (copy / "forgotten.json").exists()
