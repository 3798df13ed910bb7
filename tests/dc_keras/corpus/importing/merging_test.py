from dataclasses import replace
from functools import reduce
from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from dc_keras.corpus.importing.merging import merge_table, merge_videos
from dc_keras.corpus.records import Video
from dc_keras.corpus.store import table_of


def _video(stamp, **changes):
    video = Video("1", "u", "s", collected_at=stamp, first_collected_at=stamp)
    return replace(video, **changes)


def test_counts_are_the_newest_and_the_caption_the_oldest():
    old = _video(1, caption="old #a", hashtags=("a",), views=10, likes=5)
    new = _video(3, caption="new #b", hashtags=("b",), views=30, likes=4)
    merged = merge_videos(new, old)
    assert (merged.views, merged.likes, merged.collected_at) == (30, 4, 3)
    assert (merged.caption, merged.hashtags) == ("old #a", ("a",))
    assert merged.first_collected_at == 1


def test_an_export_without_a_time_is_the_oldest():
    unknown = _video(None, caption="unknown", views=99)
    known = _video(1, caption="known", views=1)
    merged = merge_videos(known, unknown)
    assert (merged.caption, merged.views) == ("unknown", 1)
    assert (merged.first_collected_at, merged.collected_at) == (None, 1)


def test_missing_fields_are_taken_from_the_other_export():
    old = _video(1, views=10, saves=7, music_id=None, effects=())
    new = _video(2, views=20, music_id="5", effects=("blur",), caption="late")
    merged = merge_videos(old, new)
    assert (merged.views, merged.saves) == (20, 7)
    assert (merged.music_id, merged.effects, merged.caption) == ("5", ("blur",), "late")


def test_an_id_is_preferred_to_a_handle():
    by_handle = _video(1, user_id="handle")
    by_id = _video(2, user_id="id")
    merged = merge_videos(by_handle, by_id, handle_only={"handle"})
    assert merged.user_id == "id"


_EXPORTS = st.builds(
    _video,
    st.none() | st.integers(0, 3),
    caption=st.sampled_from(["", "a", "b"]),
    views=st.none() | st.integers(0, 2),
    likes=st.none() | st.integers(0, 2),
    music_id=st.none() | st.just("5"),
)


@given(st.lists(_EXPORTS, min_size=1, max_size=5), st.randoms())
def test_merging_the_same_exports_again_changes_nothing(exports, random):
    merged = reduce(merge_videos, exports)
    again = [random.choice(exports) for _ in range(6)]
    assert reduce(merge_videos, again, merged) == merged


@given(st.lists(_EXPORTS, min_size=3, max_size=3, unique_by=lambda v: v.collected_at))
def test_the_order_of_dated_exports_does_not_matter(exports):
    exports = [replace(video, caption=f"c{video.collected_at}") for video in exports]
    results = {
        (merged.caption, merged.views, merged.likes, merged.collected_at)
        for order in permutations(exports)
        for merged in [reduce(merge_videos, order)]
    }
    # Likes that only older exports have may come from either of two that lack an order
    # after merging, hence only captions and stamps are compared when some are missing.
    assert len({(caption, stamp) for caption, _, _, stamp in results}) == 1
    if all(None not in (video.views, video.likes) for video in exports):
        assert len(results) == 1


def test_a_table_has_one_row_per_post_and_conflicts_are_counted():
    posts = [
        Video("1", "u", "a", views=1),
        Video("2", "u", "a", collected_at=1, views=1),
        Video("2", "v", "b", collected_at=2, views=5),
        Video("2", "h", "c"),
        Video("3", "w", "a"),
    ]
    merged, conflicts = merge_table(table_of(Video, posts), handle_only={"h"})
    assert merged["video_id"].to_list() == ["1", "2", "3"]
    assert (merged["user_id"][1], merged["views"][1]) == ("u", 5)
    assert conflicts == {"b": 1}
