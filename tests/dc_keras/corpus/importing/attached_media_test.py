from dc_keras.corpus.store import Corpus


def _videos(directory):
    return list(Corpus.open(directory).iter_videos())


def test_media_are_found_by_id(give, corpus_dir, make_item, tmp_path):
    root = tmp_path / "media"
    root.mkdir()
    (root / f"@ann_video_{make_item(0)['id']}.mp4").touch()
    (root / f"{make_item(1)['id']}_slide_1.jpeg").touch()
    summary = give(a=[make_item(n) for n in range(3)], media_root=root)
    assert summary.media is not None
    assert (summary.media.with_video, summary.media.with_slides) == (1, 1)
    assert Corpus.open(corpus_dir).media_root == root.resolve()
    give(b=[make_item(3)])
    # The file name contains a handle, which the corpus must not.
    assert _videos(corpus_dir)[0].media_path == f"*{make_item(0)['id']}.mp4"


def test_media_paths_are_kept_if_the_root_is_missing(
    give, corpus_dir, make_item, tmp_path
):
    root = tmp_path / "media"
    root.mkdir()
    (root / f"{make_item(0)['id']}.mp4").touch()
    give(a=[make_item(0)], media_root=root)
    root.rename(tmp_path / "unplugged")
    give(a=[make_item(0)])
    assert _videos(corpus_dir)[0].media_path is not None
