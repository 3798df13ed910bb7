"""Any number of processes gives the corpus of one process."""

import gzip
import json

import pytest
from corpus_files import hash_files

from dc_keras.corpus.forgotten import Forgotten
from dc_keras.corpus.importing import export_reader, gathered, reading_units
from dc_keras.corpus.importing.importer import import_files, register_source
from dc_keras.corpus.importing.sources import sniffing
from dc_keras.corpus.importing.sources.pieces import split_lines
from dc_keras.corpus.store import Corpus
from dc_keras.errors import DataError
from dc_keras.simulation.export_formats import export_files
from dc_keras.simulation.web_items import iter_items
from dc_keras.simulation.world import WorldConfig, simulate_world

_RANGE = 5000


def _run_backwards(work, units, kind, *, workers, cluster):
    """Runs units like processes of which the later ones are faster."""
    del kind, workers, cluster
    for unit in reversed(list(units)):
        yield unit, work(unit)


@pytest.fixture
def small_units(monkeypatch):
    monkeypatch.setattr(reading_units, "_BYTES_A_RANGE", _RANGE)
    monkeypatch.setattr(reading_units, "_BYTES_A_GROUP", 300)


@pytest.fixture
def backwards(monkeypatch):
    monkeypatch.setattr(reading_units, "run_units", _run_backwards)


@pytest.fixture
def exports(tmp_path, make_item, video_id):
    """Exports of several formats, with repeats in other files and other ranges."""
    directory = tmp_path / "exports"
    directory.mkdir()
    world = simulate_world(WorldConfig(num_users=8, num_challenges=2))
    items = list(iter_items(world.posts, world.cast.accounts))
    for name in ("web_item", "zeeschuimer", "aweme", "whichtok", "fourcat_csv"):
        for file, content in export_files(items, name).items():
            (directory / f"{name}-{file}").write_text(content, "utf-8", newline="")
    lines = [json.dumps(make_item(number % 17)) for number in range(40)]
    lines[11:11] = ['{"bad": 1}', "", '{"id": "1', json.dumps(make_item(author=None))]
    lines[21] = json.dumps(make_item(21, desc="x" * (2 * _RANGE)))  # more than a range
    lines[30:30] = ['{"bad": 2}'] * 5
    (directory / "lines.ndjson").write_text("\n".join(lines), "utf-8")
    comments = [
        {"cid": str(n), "aweme_id": video_id(n), "user": {"unique_id": f"u{n % 3}"}}
        for n in (*range(30), *range(20))
    ]
    commented = "".join(f"{json.dumps({'comments': [c]})}\n" for c in comments)
    (directory / "comments.ndjson").write_text(commented)
    (directory / "more.ndjson.gz").write_bytes(gzip.compress(commented.encode()))
    (directory / "empty.json").touch()
    (directory / "table.csv").write_text(
        f'video_id,username,caption\n{video_id(3)},ann,"two\nlines"\n{video_id(4)},ann\n'
    )
    return directory


@pytest.fixture
def read(exports, tmp_path, pseudonymizer):
    def run(name, **options):
        corpus = tmp_path / name
        summary = import_files(
            [str(exports)], corpus, pseudonymizer=pseudonymizer, **options
        )
        return summary, hash_files(corpus)

    return run


def test_units_of_other_processes_give_the_corpus_of_one_unit(
    read, small_units, backwards, exports, monkeypatch
):
    small = reading_units.plan_units(sorted(exports.iterdir()))
    assert len(small) > 20
    with monkeypatch.context() as patch:
        patch.setattr(reading_units, "_BYTES_A_RANGE", 2**26)
        patch.setattr(reading_units, "_BYTES_A_GROUP", 2**26)
        assert len(reading_units.plan_units(sorted(exports.iterdir()))) == 1
        whole = read("whole", keep_handles=True)
    examples = {file.name: file.examples for file in whole[0].files}
    assert examples["lines.ndjson"]["unknown shape"] == "line 12"
    assert examples["empty.json"] == {"the file is empty": "document"}
    assert read("here", keep_handles=True) == whole
    assert read("apart", workers=3, keep_handles=True) == whole
    assert read("apart", workers=3, keep_handles=True)[1] == whole[1]  # once more
    assert not list(exports.parent.glob(".*"))  # the intermediate files are gone


def test_many_rejected_records_are_listed_alike(
    read, small_units, backwards, monkeypatch
):
    for module in (export_reader, gathered):
        monkeypatch.setattr(module, "MOST_LISTED", 3)
    here = read("here", keep_raw=True)
    assert read("apart", workers=2, keep_raw=True) == here
    [lines] = [file for file in here[0].files if file.name == "lines.ndjson"]
    assert lines.reasons["unknown shape"] == 6


def test_forgotten_people_stay_out_of_all_units(
    read, small_units, backwards, pseudonymizer, tmp_path
):
    for name in ("here", "apart"):
        (tmp_path / name).mkdir()
        codes = Forgotten(pseudonymizer).with_codes([pseudonymizer.handle("u1")])
        codes.save(tmp_path / name)
    here = read("here")
    assert read("apart", workers=2) == here
    assert here[0].sources["comment"].imported == 20  # of 30 edges
    people = set(Corpus.open(tmp_path / "here").users["user_id"])
    assert pseudonymizer.handle("u0") in people
    assert pseudonymizer.handle("u1") not in people
    assert read("apart", workers=2)[1] == here[1]


@pytest.mark.parametrize("num_bytes", [1, 4, 5, 6, 100])
def test_a_file_is_split_at_line_ends(tmp_path, num_bytes):
    path, data = tmp_path / "a", b"1234\n\n678901\n23\n4"
    path.write_bytes(data)
    pieces = list(split_lines(path, num_bytes))
    contents = []
    for piece in pieces:
        with piece.open() as file:
            contents.append(file.read())
    assert b"".join(contents) == data
    assert all(content.endswith(b"\n") for content in contents[:-1])
    assert pieces[-1].end is None
    assert all(len(content) >= num_bytes for content in contents[:-1])


def test_only_json_lines_are_divided(tmp_path, small_units):
    item = b'{"id": "1"}\n'
    for name, data in {
        "lines": item * 1000,
        "list": b"[" + item.strip() + b",\n" + item * 1000,
        "table": b"video_id,username\n" + b"1,ann\n" * 3000,
        "packed": gzip.compress(bytes(range(256)) * 100, 0),
        "wide": item.decode().encode("utf-16-le") * 1000,
        "long": b"[" + b" " * 2 * _RANGE + b"]\n" + item,
    }.items():
        (tmp_path / name).write_bytes(data)
    units = reading_units.plan_units(sorted(tmp_path.iterdir()))
    divided = {piece.path.name for unit in units for piece in unit if piece.start}
    assert divided == {"lines"}


def test_other_processes_must_know_the_formats(
    give, make_item, small_units, monkeypatch
):
    def forget_formats(work, units, kind, **options):
        monkeypatch.setattr(sniffing, "_REGISTERED", [])
        return _run_backwards(work, units, kind, **options)

    monkeypatch.setattr(sniffing, "_REGISTERED", [])
    monkeypatch.setattr(reading_units, "run_units", forget_formats)
    register_source("mine", sniff=lambda _: False, read=dict)
    with pytest.raises(DataError, match=r"register_source.*Received: \['mine'\]"):
        give(a=[make_item()], b=[make_item()], workers=2)


def test_a_source_file_is_known_to_other_processes(read, tmp_path, small_units):
    source = tmp_path / "mine.py"
    source.write_text(
        "from dc_keras.corpus.importing.importer import register_source\n"
        "from dc_keras.corpus.importing.sources.mapped import Paths\n"
        'PATHS = Paths(video_id=("id",), handle=("bad",))\n'
        'register_source("mine", sniff=lambda r: "bad" in r, read=PATHS.read)\n'
    )
    options = {"source_file": str(source), "workers": 2}
    assert read("apart", **options) == read("here", **options | {"workers": 1})
    # Later imports of this process do not meet it.
    with pytest.raises(DataError, match="Received: source='mine'"):
        read("later", source="mine")
