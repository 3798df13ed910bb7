import shutil

import cv2
import numpy as np
import pytest

from dc_keras.corpus.forgotten import Forgotten
from dc_keras.corpus.pseudonyms import Pseudonymizer
from dc_keras.corpus.records import Video
from dc_keras.corpus.store import Corpus, CorpusWriter, rows_of, table_of
from dc_keras.errors import DataError, RecordError
from dc_keras.privacy.record_removal import remove_from_features, remove_from_frames
from tfrecords import progress
from tfrecords.feature_records import write_feature_records
from tfrecords.frame_runner import write_frame_records
from tfrecords.frame_sampling import SamplingConfig
from tfrecords.reader import iter_frame_records
from tfrecords.schema import FeatureRecord
from tfrecords.verify import verify_records

_CODE = Pseudonymizer(b"k" * 32)
_ANN = _CODE.mention("ann")
_CONFIG = SamplingConfig(num_frames=2, image_size=32, slideshows="drop")
_NUM_SHARDS = 3
_VISION = {"vision": {"name": "VGG16", "fingerprint": "aa"}, "text": None}
_BOTH = _VISION | {"text": {"handle": "hub:bert", "fingerprint": "cc"}}


def _posts():
    """A corpus of twelve posts of three people, with all kinds of media."""
    kinds = (
        {"slide_paths": ("1.jpg", "2.jpg")},
        {"media_path": "broken.mp4"},
        {},
        {"slide_paths": ("1.jpg",), "is_slideshow": True},
    )
    captions = {2: f"with @{_ANN}", 5: f"@{_ANN} and @u_0123456789"}
    for number in range(12):
        caption = captions.get(number, f"post {number}")
        fields = {"caption": caption, **kinds[number % 4]}
        yield Video(str(7000 + number), f"user{number % 3}", "web_item", **fields)


@pytest.fixture(scope="module")
def forgotten():
    """A list with Ann, whom others mention, and a post of another user."""
    return Forgotten(_CODE).with_codes(["user1", _ANN, "7008"])


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    root = tmp_path_factory.mktemp("corpus")
    for name, color in (("1.jpg", 50), ("2.jpg", 200)):
        cv2.imwrite(str(root / name), np.full((32, 32, 3), color, np.uint8))
    (root / "broken.mp4").write_bytes(b"no video")
    with CorpusWriter(root / "corpus") as writer:
        writer.add_videos(table_of(Video, _posts()))
        writer.finish([], key_fingerprint="f", media_root=root, num_quarantined=0)
    return Corpus.open(root / "corpus")


def _write_frames(corpus, directory, videos=None):
    videos = corpus.videos if videos is None else videos
    return write_frame_records(
        rows_of(Video, videos),
        corpus.media_root,
        directory,
        _CONFIG,
        num_shards=_NUM_SHARDS,
        max_bad_media=12,
    )


def _write_features(frames, directory, settings=_VISION):
    def extract(posts):
        for post in posts:
            rows = np.full((2, 3), len(b"".join(post.jpegs)), np.float16)
            text = np.full(4, len(post.caption), np.float32)
            caption = None if settings["text"] is None else text
            yield FeatureRecord(
                post.video_id, post.user_id, rows, np.array([True, False]), caption
            )

    return write_feature_records(frames, directory, extract, settings)


@pytest.fixture(scope="module")
def made(corpus, tmp_path_factory):
    directory = tmp_path_factory.mktemp("made")
    _write_frames(corpus, directory)
    return directory


@pytest.fixture
def frames(made, tmp_path):
    """Frame records of the corpus, to be changed."""
    return shutil.copytree(made, tmp_path / "frames")


@pytest.fixture(scope="module")
def fresh(corpus, forgotten, tmp_path_factory):
    """Frame records of the remaining corpus."""
    directory = tmp_path_factory.mktemp("fresh")
    _write_frames(corpus, directory, forgotten.filter_videos(corpus.videos))
    return directory


def _bytes(directory):
    files = (path for path in directory.rglob("*") if path.is_file())
    return {str(p.relative_to(directory)): p.read_bytes() for p in files}


def _forget(corpus, forgotten, frames, *features):
    """Removes from frames and features like the script."""
    removed = remove_from_frames(frames, [corpus], forgotten)
    for directory in features:
        remove_from_features(directory, [corpus], removed.sha256, forgotten)
    removed.write_manifest()
    return removed


def test_the_result_equals_a_fresh_run(corpus, forgotten, frames, fresh):
    removed = _forget(corpus, forgotten, frames)
    # Of user1 posts 1, 4, 7 and 10; and 8. Captions of 2 and 5.
    assert removed.counts == {"records": 5, "captions_rewritten": 2}
    assert _bytes(frames) == _bytes(fresh)
    assert verify_records(frames).faults == ()


def test_a_rerun_finds_everything_done(corpus, forgotten, frames):
    _forget(corpus, forgotten, frames)
    run = _write_frames(corpus, frames, forgotten.filter_videos(corpus.videos))
    assert run.num_resumed == _NUM_SHARDS


def test_features_too_have_the_bytes_of_a_fresh_run(
    corpus, forgotten, frames, fresh, tmp_path
):
    _write_features(frames, tmp_path / "features")
    _forget(corpus, forgotten, frames, tmp_path / "features")
    _write_features(fresh, tmp_path / "anew")
    assert _bytes(tmp_path / "features") == _bytes(tmp_path / "anew")
    assert verify_records(tmp_path / "features").faults == ()
    run = _write_features(frames, tmp_path / "features")
    assert run.num_resumed == _NUM_SHARDS


def test_captions_that_named_the_forgotten_are_embedded_anew(
    corpus, forgotten, frames, fresh, tmp_path
):
    features = tmp_path / "features"
    _write_features(frames, features, _BOTH)
    removed = remove_from_frames(frames, [corpus], forgotten)
    done = remove_from_features(features, [corpus], removed.sha256, forgotten)
    removed.write_manifest()
    assert done.counts == {"records": 5, "captions_embedded_before": 2}
    assert verify_records(features).faults == ()
    run = _write_features(frames, features, _BOTH)
    assert run.num_resumed < _NUM_SHARDS
    _write_features(fresh, tmp_path / "anew", _BOTH)
    assert _bytes(features) == _bytes(tmp_path / "anew")


def test_a_second_time_changes_no_byte(corpus, forgotten, frames, tmp_path):
    features = tmp_path / "features"
    _write_features(frames, features, _BOTH)
    _forget(corpus, forgotten, frames, features)
    before = _bytes(frames), _bytes(features)
    removed = _forget(corpus, forgotten, frames, features)
    assert removed.counts.total() == 0
    assert (_bytes(frames), _bytes(features)) == before


def test_a_dry_run_counts_and_changes_no_byte(corpus, forgotten, frames, tmp_path):
    features = tmp_path / "features"
    _write_features(frames, features, _BOTH)
    before = _bytes(frames), _bytes(features)
    removed = remove_from_frames(frames, [corpus], forgotten, dry_run=True)
    done = remove_from_features(features, [corpus], {}, forgotten, dry_run=True)
    assert removed.counts["records"] == done.counts["records"] == 5
    removed.write_manifest()
    assert (_bytes(frames), _bytes(features)) == before


@pytest.mark.parametrize("step", [1, 4, 8, 9])
def test_a_removal_stopped_at_any_step_is_finished_by_the_next(
    corpus, forgotten, frames, fresh, tmp_path, monkeypatch, step
):
    """Two changed shards of each kind, their progress files and the manifests."""
    features = tmp_path / "features"
    _write_features(frames, features)
    left = iter(range(step))

    def stop_in_time(function):
        def called(*arguments):
            if next(left, None) is None:
                raise KeyboardInterrupt
            return function(*arguments)

        return called

    with monkeypatch.context() as patch:
        stopping = stop_in_time(progress.move_into_place)
        patch.setattr(progress, "move_into_place", stopping)
        try:
            _forget(corpus, forgotten, frames, features)
        except KeyboardInterrupt:
            pass
        else:
            pytest.fail("was not stopped")
    _forget(corpus, forgotten, frames, features)
    assert _bytes(frames) == _bytes(fresh)
    assert verify_records(features).faults == ()
    assert _write_features(frames, features).num_resumed == _NUM_SHARDS


def test_half_written_shards_go_too(corpus, forgotten, frames):
    half = frames / ".frames-00000-of-00003.tfrecord.0.tmp"
    half.write_bytes(b"7001")
    _forget(corpus, forgotten, frames)
    assert not half.exists()


def test_records_of_another_corpus_are_cleaned_and_made_anew_later(
    corpus, forgotten, frames
):
    other = Corpus.open(corpus.directory)
    other.videos = corpus.videos.head(3)
    removed = _forget(other, forgotten, frames)
    assert removed.counts["records"] == 5
    assert verify_records(frames).faults == ()
    run = _write_frames(corpus, frames, forgotten.filter_videos(corpus.videos))
    assert run.num_resumed == 0


def test_records_without_the_forgotten_are_left_alone(corpus, frames, tmp_path):
    _write_features(frames, tmp_path / "features", _BOTH)
    before = _bytes(frames), _bytes(tmp_path / "features")
    nobody = Forgotten(_CODE).with_codes(["nobody"])
    for known in ([], [corpus]):
        removed = remove_from_frames(frames, known, nobody)
        remove_from_features(tmp_path / "features", known, {}, nobody)
        removed.write_manifest()
    assert (_bytes(frames), _bytes(tmp_path / "features")) == before


def test_without_progress_files_the_manifest_is_right(corpus, forgotten, frames, fresh):
    shutil.rmtree(frames / ".progress")
    _forget(corpus, forgotten, frames)
    names = ("manifest.json", *(f"frames-0000{i}-of-00003.tfrecord" for i in range(3)))
    for name in names:
        assert (frames / name).read_bytes() == (fresh / name).read_bytes()


def test_a_corpus_may_become_empty(corpus, frames):
    everyone = Forgotten(_CODE).with_codes([f"user{i}" for i in range(3)])
    removed = _forget(corpus, everyone, frames)
    assert removed.counts["records"] == 12
    assert verify_records(frames).faults == ()
    assert [list(iter_frame_records(p)) for p in frames.glob("*.tfrecord")] == [[]] * 3


def test_unreadable_files_are_reported(corpus, forgotten, frames, tmp_path):
    shard = min(frames.glob("*.tfrecord"))
    shard.write_bytes(shard.read_bytes()[:-10])
    with pytest.raises(RecordError, match=shard.name):
        remove_from_frames(frames, [corpus], forgotten)
    with pytest.raises(DataError, match=r"has no manifest\.json"):
        remove_from_frames(tmp_path, [corpus], forgotten)
