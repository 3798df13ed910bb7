import json
from collections import Counter
from datetime import UTC, datetime

import pytest

from dc_keras.privacy.receipt import Receipt
from dc_keras.privacy.removal_requests import RemovalRequests


@pytest.fixture
def receipt(tmp_path):
    requested = RemovalRequests(
        frozenset({"687", "u_0123456789"}), {"f1": True, "f2": False}, (7,)
    )
    time = datetime(2026, 5, 1, 12, tzinfo=UTC)
    return Receipt("ids", requested, "key", time)


def test_a_receipt_lists_removals_without_identities(receipt, tmp_path):
    tables = tmp_path / "evaluation" / "tables"
    tables.mkdir(parents=True)
    receipt.add(tmp_path / "corpus", "corpus", Counter(posts=2, people=0))
    receipt.add(tables.parent, "evaluation", Counter(rows=1))
    receipt.trained_on_forgotten = [tmp_path / "model"]
    path = receipt.path_in(tmp_path)
    receipt.write(path)
    assert path.name == "forget-receipt-20260501T120000Z.json"
    assert json.loads(path.read_text("utf-8")) == {
        "version": 1,
        "time": "2026-05-01T12:00:00Z",
        "rule": "ids",
        "key_fingerprint": "key",
        "requests": [
            {"fingerprint": "f1", "found": True},
            {"fingerprint": "f2", "found": False},
        ],
        "removed": [
            {"path": f"{tmp_path}/corpus", "kind": "corpus", "posts": 2},
            {"path": f"{tmp_path}/evaluation", "kind": "evaluation", "rows": 1},
        ],
        "trained_on_forgotten": [f"{tmp_path}/model"],
        "outdated": [str(tables)],
    }


def test_tables_are_outdated_if_rows_were_removed(receipt, tmp_path):
    (tmp_path / "tables").mkdir()
    receipt.add(tmp_path, "evaluation", Counter())
    assert not receipt.has_changes
    assert receipt.outdated == []
    receipt.add(tmp_path, "evaluation", Counter(rows=1))
    assert receipt.has_changes
    assert receipt.outdated == [tmp_path / "tables"]


def test_tables_are_outdated_if_an_earlier_run_took_the_rows(receipt, tmp_path):
    (tmp_path / "tables").mkdir()
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests" / "cold_user.json").write_text('{"grid": {}}')
    # sha256 of "{}" and a line feed
    known = "ca3d163bab055381827226140568f3bef7eaac187cebd76878e0b63e9e442356"
    for sha256, outdated in ((known, []), ("0" * 64, [tmp_path / "tables"])):
        config = {"grid_sha256": sha256, "temporal_sha256": None}
        (tmp_path / "config.json").write_text(json.dumps(config))
        receipt.add(tmp_path, "evaluation", Counter())
        assert receipt.outdated == outdated
    assert not receipt.has_changes
