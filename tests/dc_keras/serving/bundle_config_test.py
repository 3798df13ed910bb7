import subprocess
import sys

import pytest

from dc_keras.errors import DataError
from dc_keras.serving.bundle_config import (
    find_version,
    read_config,
    require_challenges,
)


def test_the_nearest_name_is_offered():
    known = ["dance", "cats"]
    require_challenges(known, ["cats", "dance"])
    with pytest.raises(
        DataError,
        match=r"knows the challenges dance, cats\. Received: challenge='dence'\. "
        r"Did you mean 'dance'\?$",
    ):
        require_challenges(known, ["cats", "dence"])
    with pytest.raises(DataError, match=r"Received: challenge='xyz'\.$"):
        require_challenges(known, ["xyz"])
    with pytest.raises(TypeError, match=r"a list of names\. Received: 'dance'"):
        require_challenges(known, "dance")


def test_the_highest_version_counts(tmp_path):
    for number in ("2", "10", "tmp-11"):
        (tmp_path / number).mkdir()
    assert find_version(tmp_path) == tmp_path / "10"
    with pytest.raises(DataError, match=r"must contain saved_model\.pb"):
        find_version(tmp_path / "2")
    with pytest.raises(DataError, match="a bundle of export_model, but config"):
        read_config(tmp_path / "2")


def test_a_bundle_is_checked_without_tensorflow():
    code = (
        "import sys; import dc_keras.serving.bundle_config; "
        "assert not {'tensorflow', 'keras'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
