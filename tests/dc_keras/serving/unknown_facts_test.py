import subprocess
import sys

import numpy as np

from dc_keras.serving.raw_requests import fill_unknown

_FACTS = ("create_times", "counts", "sounds", "account", "joined", "now")


def test_missing_facts_are_filled_for_all_users_and_posts():
    captions = np.array([[b"a", b"b", b""], [b"c", b"", b""]], object)
    filled = fill_unknown({"captions": captions}, ("captions", *_FACTS))
    assert filled["captions"] is captions
    assert {name: filled[name].shape for name in _FACTS} == {
        "create_times": (2, 3),
        "counts": (2, 3, 4),
        "sounds": (2, 3),
        "account": (2, 3),
        "joined": (2, 1),
        "now": (2,),
    }
    for name in _FACTS:
        assert set(filled[name].ravel().tolist()) <= {-1, b""}
    assert filled["create_times"].dtype == filled["now"].dtype == np.int64


def test_single_posts_have_facts_without_a_dimension_of_posts():
    filled = fill_unknown(
        {"captions": np.array(["a", "b"])}, ("captions", "counts", "sounds")
    )
    assert filled["counts"].shape == (2, 4)
    assert filled["sounds"].shape == (2,)


def test_tokens_count_posts_too_and_what_is_given_stays():
    tokens = np.zeros((2, 3, 7), np.int32)
    durations = np.ones((2, 3))
    given = {"token_ids": tokens, "durations": durations}
    filled = fill_unknown(given, ("token_ids", "durations", "sounds"))
    assert filled["durations"] is durations
    assert filled["sounds"].shape == (2, 3)


def test_only_facts_are_filled():
    assert fill_unknown({"user": np.zeros((2, 5))}, ("user", "challenge")).keys() == {
        "user"
    }
    assert fill_unknown({}, ("captions", *_FACTS)).keys() == {
        "account",
        "joined",
        "now",
    }
    videos = {"user_videos": np.zeros((2, 3, 5)), "valid": np.ones((2, 3), bool)}
    filled = fill_unknown(videos, (*videos, "account", "sounds"))
    assert filled.keys() == {*videos, "account"}


def test_clients_need_no_tensorflow_for_it(request):
    code = (
        "import sys; import dc_keras.serving.raw_requests;"
        "sys.exit('tensorflow' in sys.modules)"
    )
    subprocess.run(
        [sys.executable, "-c", code], check=True, cwd=request.config.rootpath
    )
