"""A simulated world gives the same corpus in every format."""

import dataclasses

import pytest

from dc_keras.corpus.importing.importer import import_files
from dc_keras.corpus.pseudonyms import Pseudonymizer
from dc_keras.corpus.store import Corpus
from dc_keras.simulation.export_formats import FORMATS, export_files
from dc_keras.simulation.web_items import iter_items
from dc_keras.simulation.world import WorldConfig, simulate_world

_WORLD = simulate_world(WorldConfig(num_users=30, num_challenges=4))
_ITEMS = list(iter_items(_WORLD.posts, _WORLD.cast.accounts))

# Fields that a format lacks are None or empty; nothing else differs.
_ABSENT = {
    "web_item": set(),
    "zeeschuimer": set(),
    "share_item": {"saves", "region"},
    "aweme": set(),
    "yt_dlp": {"music_id", "duet_of", "region"},
    "research_api": {"music_title", "duet_of"},
    "fourcat_csv": {"duration_s", "saves", "duet_of"},
    "pyktok": {"music_id", "music_title", "saves", "duet_of"},
    "traktok": {"music_id", "saves", "duet_of", "region"},
    "pytok": {"music_id", "music_title", "duration_s", "saves", "region"},
    "tiktok_scraper": {"saves", "duet_of", "region"},
    "whichtok": {"duration_s", "saves", "duet_of", "region"},
}
_PSEUDONYMIZER = Pseudonymizer(b"k" * 32)
_WITHOUT_IDS = {"research_api", "fourcat_csv", "pyktok", "traktok"}


def _import(tmp_path, format_name):
    directory = tmp_path / format_name
    directory.mkdir(parents=True)
    for name, content in export_files(_ITEMS, format_name).items():
        (directory / name).write_text(content, encoding="utf-8", newline="")
    summary = import_files(
        [f"{directory}/*"], tmp_path / "corpus", pseudonymizer=_PSEUDONYMIZER
    )
    return summary, Corpus.open(tmp_path / "corpus")


@pytest.fixture(scope="module")
def wanted(tmp_path_factory):
    summary, corpus = _import(tmp_path_factory.mktemp("wanted"), "web_item")
    assert summary.total.imported == len(_ITEMS)
    return list(corpus.iter_videos())


def test_the_world_covers_the_differences_of_formats(wanted):
    assert any(video.duet_of for video in wanted)
    assert any(video.mentions for video in wanted)
    assert any(len(video.hashtags) > 1 for video in wanted)
    assert any("original sound" in (video.music_title or "") for video in wanted)


@pytest.mark.parametrize("format_name", FORMATS)
def test_a_world_is_the_same_in_every_format(tmp_path, wanted, format_name):
    summary, corpus = _import(tmp_path, format_name)
    assert summary.total.quarantined == 0
    assert corpus.videos.height == len(_ITEMS)
    handles = {item["id"]: item["author"]["uniqueId"] for item in _ITEMS}
    for found, video in zip(corpus.iter_videos(), wanted, strict=True):
        changes = {"source": found.source}
        for name in _ABSENT[format_name]:
            changes[name] = None
        if format_name in _WITHOUT_IDS:
            changes["user_id"] = _PSEUDONYMIZER.handle(handles[video.video_id])
        assert found == dataclasses.replace(video, **changes)
