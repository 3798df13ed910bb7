import copy
import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dc_keras.corpus.importing.export_reader import ExportReader, ReadingOptions
from dc_keras.corpus.importing.sources.containers import unwrap
from dc_keras.corpus.importing.sources.pieces import Piece
from dc_keras.corpus.importing.sources.post import (
    Person,
    Post,
    RawEdges,
    RequestContext,
    UnreadablePostError,
)
from dc_keras.corpus.importing.sources.reading import read_documents
from dc_keras.corpus.importing.sources.sniffing import (
    SOURCE_NAMES,
    choose_sources,
    sniff,
)
from dc_keras.corpus.importing.unit_content import UnitContent
from dc_keras.corpus.pseudonyms import Pseudonymizer
from dc_keras.corpus.records import Edge
from dc_keras.corpus.store import table_of
from dc_keras.errors import DataError
from dc_keras.simulation.export_formats import FORMATS, export_files
from dc_keras.simulation.web_items import iter_items
from dc_keras.simulation.world import WorldConfig, simulate_world

_ALL = choose_sources("auto")


def test_the_docs_list_every_source():
    page = (Path(__file__).parents[5] / "docs/importing.md").read_text("utf-8")
    assert [name for name in SOURCE_NAMES if f"`{name}`" not in page] == []


@pytest.fixture(scope="module")
def records(tmp_path_factory, tool_records):
    """A complete record of each source, by source name."""
    world = simulate_world(WorldConfig(num_users=4, num_challenges=1))
    items = list(iter_items(world.posts, world.cast.accounts))
    path = tmp_path_factory.mktemp("export") / "file"
    found = {}
    for format_name in FORMATS:
        for content in export_files(items, format_name).values():
            path.write_text(content, encoding="utf-8", newline="")
            for document in read_documents(Piece(path)):
                for entry in unwrap(document.value, lambda r: sniff(r, _ALL)):
                    found.setdefault(entry.source.name, entry.record)
    follow = {"username": "ann", "display_name": "A", "target_account": "star"}
    return (
        found
        | tool_records
        | {
            "suggested": {"extraInfo": {"userId": "5"}, "subTitle": "@ann", "type": 2},
            "research_followers": follow,
            "research_following": follow,
        }
    )


def _source(name):
    [source] = choose_sources(name)
    return source


def _read(source, record):
    if source.read is not None:
        return source.read(record)
    return source.read_edges(record, RequestContext(seed=Person("9", None)))


def test_every_source_matches_its_own_record_only(records):
    assert set(records) == set(SOURCE_NAMES)
    for name, record in records.items():
        # The two lists of the Research API differ only in their container.
        shape = "research_followers" if name == "research_following" else name
        assert sniff(record, _ALL).name == shape


def test_an_unknown_format_has_no_source():
    assert sniff({"hello": 1}, _ALL) is None
    assert sniff({}, _ALL) is None


def test_a_named_source_is_the_only_one_tried(records):
    assert sniff(records["web_item"], choose_sources("share_item")) is None


def test_an_unknown_source_is_refused():
    with pytest.raises(DataError, match=r"one of auto, aweme, .*, yt_dlp. Rec.*'x'"):
        choose_sources("x")


_JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(st.characters(codec=None), max_size=9)
    | st.sampled_from(["../../x", "\0", "6.8e+18", "=1+1", "[1, [", "{'a': 1}"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=5,
)


def _paths(value, path=()):
    yield path
    children = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, child in children:
        yield from _paths(child, (*path, key))


def _put(record, path, value):
    for key in path[:-1]:
        record = record[key]
    record[path[-1]] = value


@pytest.mark.parametrize("name", SOURCE_NAMES)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_corrupted_values_are_read_or_rejected_with_a_reason(records, name, data):
    source, record = _source(name), copy.deepcopy(records[name])
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from([p for p in _paths(record) if p]))
        _put(record, path, data.draw(_JUNK))
    try:
        found = _read(source, record)
    except UnreadablePostError as error:
        assert "\n" not in str(error)
        return
    assert isinstance(found, Post | RawEdges)
    json.dumps(found.notes)
    if isinstance(found, Post):
        assert found.video_id.isdecimal()
        texts = [found.caption, found.music_title, found.transcript, *found.hashtags]
        "".join(text for text in texts if text).encode("utf-8")
        for count in (found.views, found.likes, found.create_time):
            assert count is None or 0 <= count < 2**63


_ODDITIES = (
    *(None, True, -1, 0, 2**64, 10**40, 0.5, float("nan"), "", "0", "\ud800", "a\0b"),
    *("[1, [", "{'a': 1}", "{", "c('a'", "[object Object]", "NaN", "6,88E+18"),
    *("https://www.tiktok.com/@ann/video/6871947673600000077", "\u0661", "x" * 5000),
    *([], {}, [[]], [{}], {"": None}, [None, "a", 3, {"name": ["b"]}], {"$oid": {}}),
)


def _mutated(value, rng, rate=0.06):
    """Returns a copy with parts removed, replaced, wrapped or duplicated."""
    if rng.random() < rate:
        kind = rng.randrange(5)
        if kind == 0:
            return copy.deepcopy(rng.choice(_ODDITIES))
        if kind == 1:
            return [value, value]
        if kind == 2:
            return {rng.choice(["data", "item", "a.b", "0", "\ud800"]): value}
        return str(value) if kind == 3 else json.dumps(value)
    if isinstance(value, dict):
        kept = [pair for pair in value.items() if rng.random() > rate / 2]
        return type(value)((key, _mutated(child, rng, rate)) for key, child in kept)
    if isinstance(value, list):
        return [_mutated(child, rng, rate) for child in value]
    return value


class _Taken:
    """A `Sink` that keeps all."""

    def __init__(self):
        self.tables, self.refused = [], []

    def add_posts(self, table):
        self.tables.append(table)

    def reject(self, piece, entry):
        assert json.loads(json.dumps(entry)) == entry
        self.refused.append(entry)


@pytest.mark.parametrize("name", SOURCE_NAMES)
@pytest.mark.parametrize("number", [150, pytest.param(20_000, marks=pytest.mark.long)])
def test_mutated_records_are_read_or_rejected(records, name, number, tmp_path):
    rng = random.Random(name)
    taken = _Taken()
    code = Pseudonymizer(b"k" * 32)
    reader = ExportReader(ReadingOptions(code, keep_handles=True, keep_raw=True))
    path = tmp_path / "export"
    at_a_time = min(number, 1000)
    given = 0
    for _ in range(0, number, at_a_time):
        lines = [json.dumps(_mutated(records[name], rng)) for _ in range(at_a_time)]
        path.write_text("\n".join(lines))
        content = reader.read((Piece(path),), taken)
        assert UnitContent.from_json(content.to_json()) == content
        table_of(Edge, (e for record in content.edge_records for e in record.edges))
        given += sum(counts.given for counts in content.counts.values())
    assert given >= sum(table.height for table in taken.tables) + len(taken.refused)


@given(record=st.dictionaries(st.text(max_size=9), _JUNK, max_size=6))
def test_any_object_can_be_sniffed(record):
    source = sniff(record, _ALL)
    if source is not None:
        try:
            _read(source, record)
        except UnreadablePostError as error:
            assert str(error)


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("x = 1", "must call `register_source`. Received: no call"),
        ("int('x')", "must be a Python file .* ValueError in mine.py, line 1: invalid"),
        ("def (", "SyntaxError in .*, line 1"),
        ("raise SystemExit(0)", "SystemExit in mine.py, line 1: 0"),
    ],
)
def test_a_source_file_that_fails_is_one_line(tmp_path, code, told):
    path = tmp_path / "mine.py"
    path.write_text(code)
    with pytest.raises(DataError, match=told):
        choose_sources("auto", str(path))
