import shutil

import pytest


@pytest.mark.parametrize(
    ("records", "kind"), [("frames", "frame"), ("features", "feature")]
)
def test_sound_records_have_no_faults(request, run_script, records, kind):
    directory = request.getfixturevalue(records).output
    done = run_script("verify_tfrecords", f"--records={directory}")
    assert done.returncode == 0, done.stdout
    assert done.stdout.startswith("no faults in ")
    assert f"{kind} records" in done.stdout


def test_a_flipped_byte_names_its_shard(run_script, frames, tmp_path):
    records = tmp_path / "frames"
    shutil.copytree(frames.output, records)
    shard = sorted(records.glob("*.tfrecord"))[1]
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    done = run_script("verify_tfrecords", f"--records={records}")
    assert done.returncode == 1
    assert shard.name in done.stdout
    assert sorted(records.glob("*.tfrecord"))[0].name not in done.stdout


def test_a_directory_without_records_is_reported(fails_in_one_line, tmp_path):
    assert str(tmp_path) in fails_in_one_line(
        "verify_tfrecords", f"--records={tmp_path}"
    )
