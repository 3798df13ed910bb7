from pathlib import Path

import cv2
import pytest

from dc_keras.corpus.records import Video
from dc_keras.errors import DataError
from tfrecords.frame_records import plan_frame_shards, write_frame_shard
from tfrecords.frame_sampling import SamplingConfig
from tfrecords.reader import iter_frame_records

_CONFIG = SamplingConfig(num_frames=4, image_size=64)


def _video(video_id, **fields):
    return Video(video_id=video_id, user_id="u", source="test", **fields)


def _plan(videos, root, directory, config=_CONFIG, num_shards=1):
    return plan_frame_shards(videos, root, directory, config, num_shards)


def _write(videos, root, directory, config=_CONFIG):
    (job,) = _plan(videos, root, directory, config)
    entry = write_frame_shard(job, lambda: None)
    return entry, list(iter_frame_records(directory / job.name))


@pytest.fixture
def media(tmp_path, write_clip, draw_number):
    root = tmp_path / "media"
    root.mkdir()
    write_clip(root / "clip.mp4", 8)
    for number in (1, 2):
        cv2.imwrite(str(root / f"{number}.png"), draw_number(number))
    (root / "broken.mp4").write_bytes(b"no video")
    return root


def test_every_post_gets_a_record_in_order_of_ids(media, tmp_path):
    slides = {"is_slideshow": True, "slide_paths": ("1.png", "2.png")}
    videos = [
        _video("4", media_path="broken.mp4"),
        _video("3", **slides),
        _video("2", media_path="clip.mp4", caption="Hi #a", hashtags=("a",)),
        _video("1", create_time=5),
    ]
    entry, records = _write(videos, media, tmp_path)
    assert [record.video_id for record in records] == ["1", "2", "3", "4"]
    assert [len(record.jpegs) for record in records] == [0, 4, 4, 0]
    assert [record.source_num_frames for record in records] == [0, 8, 2, 0]
    assert records[0].create_time == 5
    assert records[1].create_time is None
    assert (records[1].caption, records[1].hashtags) == ("Hi #a", ("a",))
    assert records[2].timestamps_us == (0, 0, 10**6, 10**6)
    assert entry.facts["counts"] == {
        "with_frames": 2,
        "without_media": 1,
        "bad_media": 1,
        "bad_slides": 0,
        "slideshows_dropped": 0,
        "frames": 8,
    }
    (bad,) = entry.facts["bad_media"]
    assert bad["video_id"] == "4"
    assert bad["reason"].startswith("broken.mp4: cannot be decoded: ")


def test_dropped_slideshow_keeps_its_record_and_is_counted(media, tmp_path):
    videos = [_video("3", is_slideshow=True, slide_paths=("1.png",))]
    config = SamplingConfig(num_frames=4, slideshows="drop")
    entry, (record,) = _write(videos, media, tmp_path, config)
    assert record.jpegs == ()
    assert entry.facts["counts"]["slideshows_dropped"] == 1
    assert entry.facts["counts"]["bad_media"] == 0


def test_bad_slides_are_reported_and_the_others_are_frames(media, tmp_path):
    (media / "3.png").write_bytes(b"no image")
    slides = ("1.png", "3.png", "gone.png", "2.png")
    videos = [_video("3", is_slideshow=True, slide_paths=slides)]
    entry, (record,) = _write(videos, media, tmp_path)
    assert (len(record.jpegs), record.source_num_frames) == (4, 2)
    counts = entry.facts["counts"]
    assert (counts["with_frames"], counts["bad_media"], counts["bad_slides"]) == (
        1,
        0,
        2,
    )
    reasons = [bad["reason"] for bad in entry.facts["bad_slides"]]
    assert reasons[0] == "gone.png: is not a file below the media root"
    assert reasons[1].startswith("3.png: cannot be decoded")
    assert {bad["video_id"] for bad in entry.facts["bad_slides"]} == {"3"}


def test_bad_slides_are_reported_by_the_names_of_the_corpus(media, tmp_path):
    (media / "x" / "ann").mkdir(parents=True)
    (media / "x" / "ann" / "7_ann_1.png").write_bytes(b"no image")
    slides = ("1.png", "x/*/7*1.png")
    entry, _ = _write([_video("7", slide_paths=slides)], media, tmp_path)
    [bad] = entry.facts["bad_slides"]
    assert "ann" not in bad["reason"]


@pytest.mark.parametrize(
    "path",
    ["../secret.mp4", "a/../../secret.mp4", "/etc/hostname", "nul\0", ".", "x" * 5000],
)
def test_media_outside_the_root_is_never_opened(media, tmp_path, path):
    (tmp_path / "secret.mp4").write_bytes((media / "clip.mp4").read_bytes())
    entry, (record,) = _write([_video("1", media_path=path)], media, tmp_path)
    assert record.jpegs == ()
    (bad,) = entry.facts["bad_media"]
    assert bad["reason"].endswith("is not a file below the media root")
    assert str(tmp_path) not in bad["reason"]


def test_digest_follows_inputs_settings_and_media(media, tmp_path):
    def digest(video, config=_CONFIG, root=media):
        return _plan([video], root, tmp_path, config)[0].digest

    base = _video("1", media_path="clip.mp4")
    digests = {
        digest(base),
        digest(_video("1", media_path="clip.mp4", caption="x")),
        digest(_video("1", media_path="broken.mp4")),
        digest(base, SamplingConfig(num_frames=5, image_size=64)),
    }
    same = digest(_video("1", media_path="clip.mp4", views=9))
    assert same in digests
    (media / "clip.mp4").write_bytes(b"another file")
    digests.add(digest(base))
    (media / "clip.mp4").unlink()
    digests.add(digest(base))
    assert len(digests) == 6


def test_posts_that_cannot_be_planned_are_an_error(tmp_path):
    with pytest.raises(DataError, match="Received: video_id='1' twice"):
        _plan([_video("1"), _video("1")], None, tmp_path)
    with pytest.raises(DataError, match=r"--media_root. Received: media_root=None"):
        _plan([_video("1", media_path="a.mp4")], None, tmp_path)
    with pytest.raises(DataError, match="at least one post"):
        _plan([], Path(), tmp_path)
