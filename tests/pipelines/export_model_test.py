from tfrecords.storage.locking import writing


def test_versions_are_numbered_from_one(bundle):
    names = {path.name for path in bundle.output.iterdir()}
    assert names == {"1", "models.config"}
    assert (bundle.output / "1" / "saved_model.pb").exists()
    signatures, servers = bundle.stdout.splitlines()
    assert signatures.startswith(f"{bundle.output}/1: signatures captions_only, ")
    assert servers.endswith("2.20")


def test_a_directory_without_a_model_is_reported(fails_in_one_line, tmp_path):
    line = fails_in_one_line(
        "export_model", f"--model={tmp_path}", f"--output={tmp_path}/export"
    )
    assert str(tmp_path) in line
    assert not (tmp_path / "export").exists()


def test_two_exports_to_one_place_exclude_each_other(
    fails_in_one_line, model, tmp_path
):
    place = tmp_path / "export"
    with writing(place):
        line = fails_in_one_line(
            "export_model", f"--model={model.output}", f"--output={place}"
        )
    assert line.startswith(f"{place}: another process is writing there; wait until")
