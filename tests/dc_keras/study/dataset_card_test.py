import json

import pytest

from dc_keras.corpus.importing.sources.sniffing import choose_sources
from dc_keras.corpus.records import Edge, User, Video
from dc_keras.corpus.store import CorpusWriter, table_of
from dc_keras.errors import DataError
from dc_keras.study.dataset_card import _KNOWN_GAPS, describe
from dc_keras.study.study import Challenge, Study

_VIDEOS = [
    Video("1", "u", "web_item", "a #fun", create_time=1_600_000_000, music_id="7"),
    Video("2", "u", "web_item", hashtags=("fun", "x"), mentions=("u_1", "u_2")),
    Video("3", "v", "yt_dlp", hashtags=("fun",), duet_of="1", media_path="3.mp4"),
    Video("4", "h", "yt_dlp", "c", create_time=1_600_090_000, views=0),
]
_USERS = [User("u"), User("v", ("a",)), User("h", ("h",))]
_TIES = [Edge("follow", "u", "user", "v", None, None, "research_followers")]


@pytest.fixture
def make_corpus(tmp_path):
    def make(videos=_VIDEOS, users=_USERS, ties=_TIES, **more):
        with CorpusWriter(tmp_path) as writer:
            writer.add_videos(table_of(Video, videos))
            writer.finish(
                users,
                ties,
                key_fingerprint="f",
                media_root=None,
                num_quarantined=0,
                **more,
            )
        return tmp_path

    return make


def _row(card, name):
    [line] = [line for line in card.splitlines() if line.startswith(f"| {name} |")]
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def test_card_counts_posts_people_and_ties(make_corpus):
    card = describe(make_corpus())
    assert (
        "4 posts by 3 authors, posted 2020-09-13 to 2020-09-14 (UTC). Identities"
        in card
    )
    for line in (
        "| posts | web_item | 2 |",
        "| posts | yt_dlp | 2 |",
        "| ties | duet | 1 |",
        "| ties | follow | 1 |",
        "| ties | mention | 2 |",
    ):
        assert line in card.splitlines()


def test_card_says_that_a_simulated_world_is_synthetic(make_corpus):
    sentence = "Synthetic: no person, post or sound in it exists. 4 posts by"
    assert sentence in describe(make_corpus(is_synthetic=True))
    assert "Synthetic" not in describe(make_corpus())


def test_card_has_coverage_by_source(make_corpus):
    card = describe(make_corpus())
    assert _row(card, "") == ["all", "web_item", "yt_dlp"]
    assert _row(card, "media") == ["25.0 %", "0.0 %", "50.0 %"]
    assert _row(card, "author's id") == ["75.0 %", "100.0 %", "50.0 %"]
    assert _row(card, "caption") == ["50.0 %", "50.0 %", "50.0 %"]
    assert _row(card, "sound id") == ["25.0 %", "50.0 %", "0.0 %"]
    assert _row(card, "views") == ["25.0 %", "0.0 %", "50.0 %"]


def test_card_counts_frequent_hashtags_or_challenges_of_a_study(make_corpus):
    directory = make_corpus()
    card = describe(directory)
    assert _row(card, "`fun`") == ["2", "2"]
    assert card.index("`fun`") < card.index("`x`")
    challenges = (
        Challenge("dance", hashtags=("fun",), sounds=("7",)),
        Challenge("none", hashtags=("nothing",)),
    )
    card = describe(directory, study=Study("s", challenges))
    assert _row(card, "`dance`") == ["3", "2"]
    assert _row(card, "`none`") == ["0", "0"]
    assert "`x`" not in card


def test_card_lists_repairs_and_records_not_imported(make_corpus):
    directory = make_corpus(notes={"yt_dlp": {"missing.music_id": 1234}})
    reasons = ["unknown shape", "not JSON", "unknown shape", "not JSON"]
    lines = [
        {"file": "a.json", "position": f"line {number}", "reason": reason}
        for number, reason in enumerate([*reasons, "unknown shape"], start=1)
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (directory / "quarantine.jsonl").write_text(text)
    card = describe(directory)
    assert "| yt_dlp | `missing.music_id` | 1,234 |" in card
    assert "| unknown shape | 3 | a.json, line 1 |\n| not JSON | 2 | a.json," in card


def test_card_has_the_share_of_unknown_tokens(make_corpus):
    card = describe(make_corpus(), unknown_words=("hub:bert", 0.125))
    assert "12.5 % of the WordPieces are unknown ([UNK]) to `hub:bert`" in card
    assert "import with --text" in describe(make_corpus())


def test_card_lists_gaps_of_its_sources_only(make_corpus):
    card = describe(make_corpus())
    assert "- `yt_dlp`: No sound id" in card
    assert "`pyktok`" not in card


def test_every_source_of_posts_has_its_gaps_named():
    with_posts = {s.name for s in choose_sources("auto") if s.read is not None}
    assert set(_KNOWN_GAPS) == with_posts


def test_an_empty_corpus_has_a_card(make_corpus):
    card = describe(make_corpus(videos=[], users=[], ties=[]))
    assert "0 posts by 0 authors. Identities" in card
    assert _row(card, "media") == ["–"]


def test_missing_corpus_raises(tmp_path):
    with pytest.raises(DataError, match="must be a corpus directory"):
        describe(tmp_path)
