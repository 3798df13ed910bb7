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
    return Receipt("ids", requested, "key", time=time)


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
    receipt.is_resumed = True
    receipt.add(tmp_path, "evaluation", Counter())
    assert receipt.outdated == [tmp_path / "tables"]
    assert not receipt.has_changes
