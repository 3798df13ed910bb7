import av
import cv2
import numpy as np
import pytest

from dc_keras.errors import DataError
from dc_keras.study.audit.duplicates import (
    NUM_HASHED,
    MediaHashes,
    check_media,
    check_texts,
    find_copies,
    hash_posts,
)
from tfrecords.frame_sampling import SamplingConfig, sample_frames


@pytest.fixture
def hashes(grid):
    """Returns hashes in which only the named posts are alike."""

    def make(*same):
        names = tuple(sorted(grid.video_users))
        bits = np.random.default_rng(0).integers(
            0, 2**63, (len(names), NUM_HASHED), dtype=np.uint64
        )
        for video in same:
            bits[names.index(video)] = bits[names.index(same[0])]
        shape = bits.shape
        return MediaHashes(
            names, bits, np.full((*shape, 3), 9, np.float32), np.ones(shape, bool)
        )

    return make


@pytest.fixture
def cold_user(grid, manifest_of):
    return manifest_of(grid, "cold_user")


def test_posts_that_all_differ_are_no_finding(grid, hashes, cold_user):
    check = check_media("s", grid, hashes(), [cold_user])
    # The three posts of each of 23 users of the panel, and seven that describe.
    assert (check.num_checked, check.findings) == (76, ())


def test_history_with_media_of_a_challenge_leaks(grid, hashes):
    history, described = grid.histories[2][0], grid.support[1][0]
    [finding] = check_media("s", grid, hashes(history, described)).findings
    assert finding.severity == "leak"
    assert finding.what == (
        f"posts {', '.join(sorted((history, described)))} show the same media; "
        "in the history of user02 and among the posts of cat"
    )
    assert finding.where["users"] == ("user02",)
    assert finding.where["challenges"] == ("cat",)


def test_media_of_a_training_and_a_judged_user_leak(grid, hashes, cold_user):
    name, fold = next(iter(cold_user.folds.items()))
    judged = min(fold.hidden_users)
    trains = min(set(grid.users) - fold.hidden_users)
    same = [grid.histories[grid.users.index(user)][0] for user in (judged, trains)]
    [finding] = check_media("s", grid, hashes(*same), [cold_user]).findings
    assert finding.severity == "leak"
    assert name in finding.where["folds"]
    assert finding.where["users"] == tuple(sorted((judged, trains)))
    # Without held-out users, the finding is a warning.
    [finding] = check_media("s", grid, hashes(*same)).findings
    assert finding.severity == "warning"


def test_duplicate_posts_of_one_user_are_a_warning(grid, hashes, cold_user):
    check = check_media("s", grid, hashes(*grid.histories[0][:2]), [cold_user])
    assert [finding.severity for finding in check.findings] == ["warning"]


def test_copies_outside_the_grid_are_ignored(grid, hashes):
    made = hashes(grid.histories[0][0])
    made = MediaHashes(
        (*made.video_ids, "unseen"),
        np.concatenate([made.bits, made.bits[:1]]),
        np.concatenate([made.colours, made.colours[:1]]),
        np.concatenate([made.is_usable, made.is_usable[:1]]),
    )
    assert check_media("s", grid, made).findings == ()


def test_equal_captions_sounds_and_lengths_are_a_warning(
    grid, videos, changed, posts_of
):
    one, other = grid.histories[0][0], grid.support[0][0]
    text = "The very same words, in the very same order"
    copied = {one: {"caption": text}, other: {"caption": f" {text.upper()}"}}
    check = check_texts("s", grid, posts_of(changed(videos, copied)))
    [finding] = check.findings
    assert finding.severity == "warning"
    assert finding.where["videos"] == tuple(sorted((one, other)))
    assert "have the same caption, sound and length" in finding.what


@pytest.mark.parametrize(
    "difference",
    [{"caption": "short"}, {"music_id": "6"}, {"duration_s": 8.0}, {"music_id": None}],
)
def test_partly_equal_posts_are_no_finding(grid, videos, changed, posts_of, difference):
    one, other = grid.histories[0][0], grid.support[0][0]
    text = {"caption": "The very same words, in the very same order"}
    if "caption" in difference:
        text = difference
    posts = posts_of(changed(videos, {one: text, other: {**text, **difference}}))
    assert check_texts("s", grid, posts).findings == ()


_SAMPLING = SamplingConfig(num_frames=8, image_size=64)


def _scene(seed, num_frames=24):
    """BGR frames of 320 × 180 with slowly changing colours."""
    rng = np.random.default_rng(seed)
    ends = rng.integers(0, 256, (2, 9, 12, 3)).astype(np.float32)
    for step in np.linspace(0, 1, num_frames):
        mixed = (1 - step) * ends[0] + step * ends[1]
        large = cv2.resize(mixed, (320, 180), interpolation=cv2.INTER_CUBIC)
        yield np.clip(large, 0, 255).astype(np.uint8)


def _encode(path, frames, size, bit_rate, codec="libx264"):
    with av.open(str(path), "w") as media:
        stream = media.add_stream(codec, rate=12)
        stream.width, stream.height = size
        stream.pix_fmt, stream.bit_rate = "yuv420p", bit_rate
        for pixels in frames:
            frame = av.VideoFrame.from_ndarray(cv2.resize(pixels, size), format="bgr24")
            for packet in stream.encode(frame):
                media.mux(packet)
        for packet in stream.encode():
            media.mux(packet)
    return path


def _decoded(path):
    with av.open(str(path)) as media:
        return [frame.to_ndarray(format="bgr24") for frame in media.decode(video=0)]


def _jpegs(*frames):
    return [cv2.imencode(".jpg", frame)[1].tobytes() for frame in frames]


def _made_up(bits, colours=100.0, usable=True):
    bits = np.array(bits, np.uint64)
    shape = bits.shape
    names = tuple(f"v{number}" for number in range(len(bits)))
    return MediaHashes(
        names,
        bits,
        np.broadcast_to(np.float32(colours), (*shape, 3)),
        np.broadcast_to(np.array(usable), shape),
    )


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Eight real mp4 files, the first once more, smaller and worse."""
    directory = tmp_path_factory.mktemp("clips")
    paths = {
        f"v{seed}": _encode(
            directory / f"{seed}.mp4", _scene(seed), (320, 180), 800_000
        )
        for seed in range(8)
    }
    first = _decoded(paths["v0"])
    paths["small"] = _encode(directory / "small.mp4", first, (128, 96), 40_000)
    paths["avi"] = _encode(directory / "other.avi", first, (240, 240), 300_000, "mpeg4")
    return {name: sample_frames(path, _SAMPLING).jpegs for name, path in paths.items()}


def test_real_video_is_recognised_after_encoding(clips):
    hashes = hash_posts(clips.items())
    assert hashes.is_usable.any(axis=1).all()
    assert find_copies(hashes) == (("avi", "small", "v0"),)


def test_other_colours_are_another_video(clips):
    frames = [cv2.imdecode(np.frombuffer(j, np.uint8), 1) for j in clips["v1"]]
    swapped = _jpegs(*(frame[..., ::-1] // 2 for frame in frames))
    assert find_copies(hash_posts({"a": clips["v1"], "b": swapped}.items())) == ()


def test_black_posts_are_not_each_others_copies():
    black, grey = np.zeros((64, 64, 3), np.uint8), np.full((64, 64, 3), 3, np.uint8)
    hashes = hash_posts(
        [("a", _jpegs(black)), ("b", _jpegs(grey)), ("c", _jpegs(black))]
    )
    assert not hashes.is_usable.any()
    assert find_copies(hashes) == ()


def test_no_posts_have_no_copies():
    assert find_copies(hash_posts([])) == ()


def test_frame_that_is_no_image_is_refused():
    with pytest.raises(DataError, match="post 9 must have JPEG frames; run verify_"):
        hash_posts([("9", [b"nothing"])])


def test_limits_are_kept_on_both_sides():
    # Per frame 1, 2, 3, 4, 5 bits: 3 on average; then one bit more in one frame.
    flips = [0b1, 0b11, 0b111, 0b1111, 0b11111]
    base = np.random.default_rng(0).integers(0, 2**63, NUM_HASHED, dtype=np.uint64)
    near = base ^ np.array(flips, np.uint64)
    far = near ^ np.array([0, 0, 0, 0, 1 << 60], np.uint64)
    assert find_copies(_made_up([base, near])) == (("v0", "v1"),)
    assert find_copies(_made_up([base, far])) == ()
    # A difference of colour of 7 on average.
    colours = np.full((2, NUM_HASHED, 3), 100.0)
    colours[1] += 7
    assert find_copies(_made_up([base, base], colours)) == ()


def test_plain_frames_are_left_out_of_the_comparison():
    base = np.random.default_rng(1).integers(0, 2**63, NUM_HASHED, dtype=np.uint64)
    other = base.copy()
    other[:2] = ~other[:2]
    usable = np.array([[False, False, True, True, True], [True] * 5])
    assert find_copies(_made_up([base, other], usable=usable)) == (("v0", "v1"),)
    assert find_copies(_made_up([base, other])) == ()


def test_result_equals_comparing_all_pairs():
    rng = np.random.default_rng(2)
    bits = rng.integers(0, 2**63, (300, NUM_HASHED), dtype=np.uint64)
    expected = set()
    for number in range(0, 100, 2):
        # One bit to five of each frame flipped, anywhere.
        flips = [rng.choice(63, rng.integers(1, 6), replace=False) for _ in range(5)]
        for frame, places in enumerate(flips):
            mask = np.bitwise_or.reduce(np.uint64(1) << places.astype(np.uint64))
            bits[number + 1, frame] = bits[number, frame] ^ mask
        counts = [len(places) for places in flips]
        if sum(counts) <= 15:
            expected.add(tuple(sorted((f"v{number}", f"v{number + 1}"))))
    assert 10 < len(expected) < 45
    assert set(find_copies(_made_up(bits))) == expected


def test_a_clip_posted_often_is_one_group():
    base = np.random.default_rng(3).integers(0, 2**63, NUM_HASHED, dtype=np.uint64)
    [group] = find_copies(_made_up(np.tile(base, (20_000, 1))))
    assert len(group) == 20_000
