import pytest

from dc_keras.corpus.importing.media_search import (
    MediaIndex,
    MediaReport,
)
from dc_keras.corpus.records import Video
from dc_keras.corpus.store import rows_of, table_of
from dc_keras.errors import DataError
from tfrecords.media_paths import find_file

_ID = "7158770364560491178"


def _index(root, *videos):
    ids = {video.video_id for video in videos}
    index = MediaIndex(root, lambda runs: runs & ids)
    table = index.attach(table_of(Video, videos))
    return list(rows_of(Video, table)), index.report


def _attach(root, files, **changes):
    for name in files:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    [video], report = _index(root, Video(_ID, "u", "s", **changes))
    return video, report


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        (f"{_ID}.mp4", f"{_ID}.mp4"),
        (f"videos/2020-12/{_ID}_video.mp4", f"videos/2020-12/{_ID}_video.mp4"),
        # Parts that may name a person are not kept.
        (f"@some.one_video_{_ID}.mp4", f"*{_ID}.mp4"),
        (f"@user12_video_{_ID}.webm", f"*{_ID}.webm"),
        (f"ann/6655162062744181174/{_ID}_ann.AVI", f"*/*/{_ID}*.AVI"),
    ],
)
def test_a_video_is_found_by_its_id_and_kept_without_names(tmp_path, name, kept):
    video, report = _attach(tmp_path, [name])
    assert (video.media_path, video.slide_paths) == (kept, ())
    assert report == MediaReport(with_video=1)
    assert find_file(tmp_path, kept) == tmp_path / name


def test_files_that_differ_in_names_only_stay_distinct(tmp_path):
    names = [f"{_ID}/ann {i}.jpg" for i in (1, 2)] + [f"{_ID}/bob 1.jpg"]
    video, _ = _attach(tmp_path, names)
    assert len(set(video.slide_paths)) == 3
    found = [find_file(tmp_path, slide) for slide in video.slide_paths]
    assert found == [tmp_path / name for name in names]
    assert "ann" not in "".join(video.slide_paths)


@pytest.mark.parametrize("path", ["/etc/hostname", "../x.mp4", "a\0.mp4", "a" * 999])
def test_ids_with_path_separators_find_nothing(tmp_path, path):
    assert find_file(tmp_path, path) is None


@pytest.mark.parametrize(
    "name",
    [
        f"1{_ID}.mp4",  # part of a longer run of digits
        f"{_ID}.info.json",
        f"{_ID}.jpg",  # a cover
        f"{_ID}/{_ID}.txt",
    ],
)
def test_other_files_are_ignored(tmp_path, name):
    video, report = _attach(tmp_path, [name])
    assert (video.media_path, video.slide_paths) == (None, ())
    assert report == MediaReport(without=1)


@pytest.mark.parametrize(
    "pattern", ["{id}_slide_{n}.jpeg", "{id}_{n}.jpg", "{id}/{n}.png"]
)
def test_slides_are_in_natural_order(tmp_path, pattern):
    names = [pattern.format(id=_ID, n=n) for n in (1, 2, 10)]
    video, report = _attach(tmp_path, reversed(names))
    assert video.slide_paths == tuple(names)
    assert report == MediaReport(with_slides=1)


def test_slideshows_get_slides_and_other_posts_the_video(tmp_path):
    files = [f"{_ID}.mp4", f"{_ID}_1.jpg"]
    video, _ = _attach(tmp_path, files)
    assert (video.media_path, video.slide_paths) == (files[0], ())
    video, _ = _attach(tmp_path, files, is_slideshow=True)
    assert (video.media_path, video.slide_paths) == (None, (files[1],))


def test_the_candidate_nearest_to_the_root_is_taken_and_counted(tmp_path):
    video, report = _attach(tmp_path, [f"a/{_ID}.mp4", f"{_ID}.mp4", f"b/{_ID}.mp4"])
    assert video.media_path == f"{_ID}.mp4"
    assert report == MediaReport(with_video=1, ambiguous=1)


def test_slides_of_two_directories_are_not_mixed(tmp_path):
    video, report = _attach(tmp_path, [f"a/{_ID}_1.jpg", f"b/{_ID}_1.jpg"])
    assert video.slide_paths == (f"*/{_ID}_1.jpg",)
    found = find_file(tmp_path, video.slide_paths[0])
    assert found == tmp_path / "a" / f"{_ID}_1.jpg"
    assert report.ambiguous == 1


def test_missing_media_are_removed_from_the_posts(tmp_path):
    video, _ = _attach(tmp_path, [], media_path="old.mp4")
    assert video.media_path is None


def test_links_to_files_count_as_files(tmp_path):
    (tmp_path / "clip.bin").touch()
    (tmp_path / f"{_ID}.mp4").symlink_to(tmp_path / "clip.bin")
    video, _ = _attach(tmp_path, [])
    assert video.media_path == f"{_ID}.mp4"


def test_an_id_is_never_used_as_a_path(tmp_path):
    (tmp_path / "secret.mp4").touch()
    (tmp_path / "root").mkdir()
    videos, _ = _index(tmp_path / "root", Video("../secret", "u", "s"))
    assert videos[0].media_path is None


def test_a_missing_root_is_refused(tmp_path):
    with pytest.raises(DataError, match="`media_root` must be a directory"):
        _index(tmp_path / "none")


def test_the_report_sums_over_tables(tmp_path):
    (tmp_path / f"{_ID}.mp4").touch()
    index = MediaIndex(tmp_path, lambda runs: runs & {_ID})
    for video_id in (_ID, "5"):
        index.attach(table_of(Video, [Video(video_id, "u", "s")]))
    assert index.report == MediaReport(with_video=1, without=1)
