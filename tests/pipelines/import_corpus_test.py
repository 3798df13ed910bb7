import json
import re
import shutil
import zipfile

import polars as pl
import pytest


@pytest.fixture
def flags(tmp_path):
    item = {
        "id": "6871947673600000077",
        "desc": "with @some.one",
        "createTime": 1_600_000_000,
        "author": {"id": "6655162062744181174", "uniqueId": "ann.handle"},
    }
    export = tmp_path / "posts.json"
    export.write_text(json.dumps({"itemList": [item, item | {"author": None}]}))
    return [
        f"--input={tmp_path}/*.json",
        f"--corpus={tmp_path}/corpus",
        f"--key_file={tmp_path}/key",
    ]


def test_counts_are_printed_and_identities_are_not(run_script, flags, tmp_path):
    done = run_script("import_corpus", *flags)
    assert done.returncode == 0, done.stderr
    assert "web_item: 2 given = 1 imported + 0 merged + 1 quarantined" in done.stdout
    assert f"{tmp_path}/corpus: 1 posts, 1 people, 0 ties" in done.stdout
    for identity in ("ann.handle", "some.one", "6655162062744181174"):
        assert identity not in done.stdout + done.stderr
    assert (tmp_path / "corpus" / "videos.parquet").exists()
    card = (tmp_path / "corpus" / "DATASET_CARD.md").read_text()
    assert "1 posts by 1 authors, posted 2020-09-13 to 2020-09-13" in card
    assert "| a post without an author | 1 |" in card


def test_the_card_contains_the_share_of_unknown_words(
    run_script, flags, tmp_path, bert
):
    done = run_script("import_corpus", *flags, f"--text=hub:{bert.output}")
    assert done.returncode == 0, done.stderr
    card = (tmp_path / "corpus" / "DATASET_CARD.md").read_text()
    measured = r"\d+\.\d % of the WordPieces are unknown \(\[UNK\]\) to `hub:.*/bert`"
    assert re.search(measured, card)


def test_help_lists_every_source(run_script):
    from dc_keras.corpus.importing.sources.sniffing import SOURCE_NAMES

    help_text = run_script("import_corpus", "--help").stdout
    assert [name for name in SOURCE_NAMES if name not in help_text] == []


def test_errors_are_one_line(fails_in_one_line, flags):
    line = fails_in_one_line("import_corpus", "--input=none/*.json", *flags[1:])
    assert line == "`input` must match a file. Received: input=none/*.json"


# Nobody's name, handle or id in the clear is left in anything that the scripts make.
_ARTIFACTS = ("corpus", "frames", "features", "colours", "model", "bundle")


@pytest.fixture(scope="module")
def people(world):
    """All names of people in the exports of the world."""
    lines = (world.output / "items.ndjson").read_text("utf-8").splitlines()
    authors = [json.loads(line)["author"] for line in lines]
    return {a[name] for a in authors for name in ("id", "uniqueId", "secUid")}


def _named(directory, people):
    """Returns the files with a name in their path or in their raw or decoded bytes."""
    words = [person.encode() for person in people]
    found = []
    for path in sorted(directory.rglob("*")):
        contents = [str(path.relative_to(directory)).encode(), *_decoded(path)]
        if any(word in content for content in contents for word in words):
            found.append(path)
    return found


def _decoded(path):
    if not path.is_file():
        return
    yield path.read_bytes()
    if path.suffix == ".parquet":
        yield pl.read_parquet(path).write_json().encode()
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            yield from map(archive.read, archive.namelist())


@pytest.mark.parametrize("name", _ARTIFACTS)
def test_outputs_of_the_scripts_contain_no_names(request, people, name):
    assert len(people) > 100
    made = request.getfixturevalue(name)
    assert _named(made.output, people) == []
    for person in people:
        assert person not in made.stdout + made.stderr


@pytest.fixture(scope="module")
def named_world(world, tmp_path_factory):
    """The world with the handles of people in the names of media and exports."""
    directory = tmp_path_factory.mktemp("named")
    lines = (world.output / "items.ndjson").read_text("utf-8").splitlines()
    items = {item["id"]: item for item in map(json.loads, lines)}
    (directory / "media").mkdir()
    for path in (world.output / "media").glob("*.mp4"):
        handle = items[path.stem]["author"]["uniqueId"]
        name = f"@{handle}_video_{path.stem}.mp4"
        shutil.copy(path, directory / "media" / name)
    broken = min((directory / "media").iterdir())
    broken.write_bytes(b"no video")
    handle = re.search(r"@(.*)_video_", broken.name)[1]
    export = directory / f"@{handle}.ndjson"
    export.write_text("\n".join([*lines, json.dumps({handle: [1], "x": 2}), "{"]))
    (directory / f"{handle}.json").write_text(json.dumps({handle: {"a": [{"b": 1}]}}))
    return directory


@pytest.fixture(scope="module")
def named_corpus(chain, named_world, key_file):
    return chain(
        "import_corpus",
        f"--input={named_world}/*json",
        f"--media_root={named_world}/media",
        f"--key_file={key_file}",
        output="named_corpus",
        flag="corpus",
    )


def test_names_in_paths_of_media_and_exports_are_hidden(
    named_corpus, named_world, run_script, people, corpus, tmp_path
):
    lines = (named_corpus.output / "quarantine.jsonl").read_text().splitlines()
    assert len(lines) >= 2
    # What the import prints names its files as they were given; nothing else does.
    assert _named(named_corpus.output, people) == []
    frames = tmp_path / "frames"
    flags = [f"--corpus={named_corpus.output}", f"--output={frames}"]
    flags += ["--num_frames=2", "--image_size=32", "--num_shards=2", "--workers=1"]
    done = run_script("write_tfrecords", *flags)
    assert done.returncode == 1
    [bad] = json.loads((frames / "manifest.json").read_text())["bad_media"]
    assert bad["reason"].startswith(f"*{bad['video_id']}.mp4: ")
    assert _named(frames, people) == []
    texts = [done.stdout, done.stderr, named_corpus.stderr]
    assert not any(person in text for text in texts for person in people)
    # Every file but the broken one was found again.
    with_media = json.loads((corpus.output / "corpus.json").read_text())["counts"]
    counts = json.loads((frames / "manifest.json").read_text())["counts"]
    assert counts["with_frames"] == with_media["with_media"] - 1
