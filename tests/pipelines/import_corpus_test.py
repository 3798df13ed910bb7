import json

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
    assert f"{tmp_path}/corpus: 1 posts by 1 authors" in done.stdout
    for identity in ("ann.handle", "some.one", "6655162062744181174"):
        assert identity not in done.stdout + done.stderr
    assert (tmp_path / "corpus" / "videos.parquet").exists()


def test_what_is_wrong_is_told_in_one_line(fails_in_one_line, flags):
    line = fails_in_one_line("import_corpus", "--input=none/*.json", *flags[1:])
    assert line == "no file matches. Received: input=none/*.json"
