"""Tests the guarantees of docs/reliability.md with small numbers."""

import json
import random

import numpy as np
import polars as pl
from scipy import sparse

from benchmarks.faults import flip_files, mutate_records
from dc_keras.corpus.importing.importer import import_files
from dc_keras.corpus.pseudonyms import Pseudonymizer
from dc_keras.social.graph import Layer, SocialGraph
from dc_keras.social.graph_store import save_graph
from tfrecords.schema import FrameRecord, build_frame_record
from tfrecords.storage.atomic_update import write_answers
from tfrecords.writer import write_manifest, write_shard


def _make(run):
    rows = [
        {"id": f"71{i}0000000000000", "desc": "#dance", "createTime": 1600000000 + i,
         "author": {"id": f"{i}", "uniqueId": f"u{i}"}}
        for i in range(3)
    ]  # fmt: skip
    raw = run.parent / "items.ndjson"
    raw.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    import_files([str(raw)], run / "corpus", pseudonymizer=Pseudonymizer(b"k" * 32))
    users = ("a" * 32, "b" * 32)
    layer = Layer("mention", sparse.csr_array(1 - np.eye(2)), is_directed=True)
    save_graph(run / "graph", SocialGraph(users, (layer,)), {})
    (run / "frames").mkdir()
    record = FrameRecord(
        video_id="1", user_id="u", caption="c", hashtags=(), create_time=1,
        duration_us=0, source_num_frames=0, height=2, width=2, timestamps_us=(),
        jpegs=(),
    )  # fmt: skip
    name = "frames-00000-of-00001.tfrecord"
    records = [build_frame_record(record)]
    entry = write_shard(run / "frames", name, "d", records, dict)
    write_manifest(run / "frames", "frames", {"num_frames": 2}, [entry])
    told = pl.DataFrame(
        {"user_id": users, "challenge": ["x", "x"], "probability": [0.5, 0.25]}
    )
    write_answers(run / "predictions.csv", told.write_csv())


def test_every_flipped_bit_is_named(tmp_path):
    run, work = tmp_path / "run", tmp_path / "work"
    run.mkdir()
    work.mkdir()
    _make(run)
    rows = flip_files(run, work, 120, random.Random(0))
    assert len(rows) == 4
    for what, tried, held, other in rows:
        assert (held, other) == (tried, ""), what


def test_mutated_records_end_somewhere(tmp_path):
    for what, tried, held, other in mutate_records(tmp_path, 20, random.Random(0)):
        assert (held, other) == (tried, ""), what
