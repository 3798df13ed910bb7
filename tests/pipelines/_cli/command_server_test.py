import json

from pipelines._cli.command_server import CommandServer


def test_commands_run_one_after_another(tmp_path):
    corpus = tmp_path / "corpus"
    logs = [tmp_path / name for name in ("failed.txt", "done.txt")]
    items = tmp_path / "items.ndjson"
    item = {
        "id": "6871947673600000077",
        "desc": "hello",
        "createTime": 1_600_000_000,
        "author": {"id": "6655162062744181174", "uniqueId": "ann"},
    }
    items.write_text(json.dumps(item), "utf-8")
    key = f"--key_file={tmp_path / 'pseudonym.key'}"
    with CommandServer() as server:
        none = server.run(
            "import_corpus", [f"--input={corpus}", f"--corpus={corpus}", key], logs[0]
        )
        code = server.run(
            "import_corpus", [f"--input={items}", f"--corpus={corpus}", key], logs[1]
        )
    assert (none, code) == (1, 0)
    assert "error:" in logs[0].read_text("utf-8")
    assert (corpus / "videos.parquet").exists()
    assert "error:" not in logs[1].read_text("utf-8")
