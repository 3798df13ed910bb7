import random
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("openvino", reason="the extra `openvino` is not installed")
pytest.importorskip("nncf", reason="the extra `openvino` is not installed")

from dc_keras.encoders.quantization import draw_frames
from dc_keras.errors import DataError


@dataclass(frozen=True)
class _Post:
    video_id: str
    jpegs: tuple[bytes, ...]


def _posts(num_posts, num_frames=2):
    return [
        _Post(f"v{n}", tuple(b"%d of %d" % (i, n) for i in range(num_frames)))
        for n in range(num_posts)
    ]


def _post_of(jpeg):
    return jpeg.split()[-1]


def test_no_post_is_on_both_sides():
    drawn = draw_frames(_posts(2000), num_calibration=300, num_held_out=100)
    assert (len(drawn.calibration), len(drawn.held_out)) == (300, 100)
    sides = [
        {_post_of(jpeg) for jpeg in side}
        for side in (drawn.calibration, drawn.held_out)
    ]
    assert sides[0].isdisjoint(sides[1])


def test_a_quarter_of_the_posts_is_held_out():
    drawn = draw_frames(_posts(2000, 1), num_calibration=2000, num_held_out=2000)
    assert len(drawn.calibration) + len(drawn.held_out) == 2000
    assert 440 < len(drawn.held_out) < 560


@settings(max_examples=25, deadline=None)
@given(order=st.integers(0, 2**32), seed=st.integers(0, 99))
def test_neither_the_order_nor_the_shards_of_posts_matter(order, seed):
    posts = _posts(200)
    shuffled = posts.copy()
    random.Random(order).shuffle(shuffled)
    # So few that the frames kept are cut down again and again.
    few = {"num_calibration": 12, "num_held_out": 10, "seed": seed}
    assert draw_frames(posts, **few) == draw_frames(shuffled, **few)


def test_fewer_are_a_part_of_more():
    posts = _posts(400)
    few = draw_frames(posts, num_calibration=20, num_held_out=10)
    many = draw_frames(posts, num_calibration=200, num_held_out=50)
    assert many.calibration[:20] == few.calibration
    assert many.held_out[:10] == few.held_out


def test_every_frame_has_the_same_chance():
    drawn = draw_frames(_posts(500, 4), num_calibration=800, num_held_out=50)
    positions = [int(jpeg.split()[0]) for jpeg in drawn.calibration]
    # 800 of about 1,500 frames, a quarter of them at each position: 200 ± 4 × 8.4.
    assert all(165 < positions.count(position) < 235 for position in range(4))


def test_a_frame_is_drawn_once_however_often_it_comes():
    posts = [_Post(post.video_id, (*post.jpegs, b"of all")) for post in _posts(100)]
    drawn = draw_frames(posts, num_calibration=1000, num_held_out=1000)
    both = [*drawn.calibration, *drawn.held_out]
    assert len(both) == len(set(both)) == 201
    # A frame of both sides has no say in how well the other frames come out.
    assert b"of all" in drawn.calibration


def test_the_seed_determines_the_frames_and_the_hash():
    posts = _posts(200)
    first, again, other = (
        draw_frames(posts, num_calibration=50, seed=seed) for seed in (0, 0, 1)
    )
    assert first.sha256 == again.sha256 != other.sha256
    assert set(first.calibration) != set(other.calibration)
    assert len(first.sha256) == 64


def test_the_hash_is_of_the_calibration_frames_alone():
    posts = _posts(200)
    few, many = (draw_frames(posts, num_held_out=number) for number in (10, 20))
    assert few.held_out != many.held_out
    assert few.sha256 == many.sha256


@pytest.mark.parametrize(
    ("posts", "found"),
    [
        ([], "0 and 0"),
        (_posts(100, 0), "0 and 0"),
        ([_Post(f"v{n}", (b"one",)) for n in range(100)], "1 and 0"),
    ],
)
def test_too_few_frames_are_refused(posts, found):
    message = rf"at least 10 distinct frames .* Received: {found} in these"
    with pytest.raises(DataError, match=message):
        draw_frames(posts)
