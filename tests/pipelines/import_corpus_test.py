import json
import re

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


def test_the_card_says_what_a_bert_does_not_know(run_script, flags, tmp_path, bert):
    done = run_script("import_corpus", *flags, f"--text=hub:{bert.output}")
    assert done.returncode == 0, done.stderr
    card = (tmp_path / "corpus" / "DATASET_CARD.md").read_text()
    measured = r"\d+\.\d % of their WordPieces are \[UNK\] to `hub:.*/bert`"
    assert re.search(measured, card)


def test_every_source_is_named_by_help(run_script):
    from dc_keras.corpus.sources.sniffing import SOURCE_NAMES

    help_text = run_script("import_corpus", "--help").stdout
    assert [name for name in SOURCE_NAMES if name not in help_text] == []


def test_what_is_wrong_is_told_in_one_line(fails_in_one_line, flags):
    line = fails_in_one_line("import_corpus", "--input=none/*.json", *flags[1:])
    assert line == "no file matches. Received: input=none/*.json"
