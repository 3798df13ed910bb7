from dc_keras.corpus.edges import all_edges
from dc_keras.corpus.records import Edge, User, Video
from dc_keras.corpus.store import Corpus, CorpusWriter, table_of

_ANN, _BOB, _EVE = "a" * 32, "b" * 32, "e" * 32


def _corpus(tmp_path, videos, users=(), edges=()):
    with CorpusWriter(tmp_path) as writer:
        writer.add_videos(table_of(Video, videos))
        writer.finish(
            users, edges, key_fingerprint="f", media_root=None, num_quarantined=0
        )
    return Corpus.open(tmp_path)


def _edges(corpus):
    return [Edge(*row) for row in all_edges(corpus).iter_rows()]


def test_mentions_lead_to_the_owner_of_the_handle(tmp_path):
    codes = ("u_bbbbbbbbbb", "u_0123456789")
    posts = [Video("1", _ANN, "s", create_time=5, mentions=codes)]
    # The alias of a handle is its pseudonym; a mention code is the beginning of it.
    users = [User(_ANN), User(_BOB, aliases=("bbbbbbbbbb" + "0" * 22,))]
    assert _edges(_corpus(tmp_path, posts, users)) == [
        Edge("mention", _ANN, "mention", "u_0123456789", "1", 5, "s"),
        Edge("mention", _ANN, "user", _BOB, "1", 5, "s"),
    ]


def test_mention_of_an_ambiguous_handle_is_kept(tmp_path):
    posts = [Video("1", _ANN, "s", mentions=("u_bbbbbbbbbb",))]
    alias = ("bbbbbbbbbb" + "0" * 22,)
    [edge] = _edges(_corpus(tmp_path, posts, [User(_BOB, alias), User(_EVE, alias)]))
    assert edge.target_type == "mention"


def test_duets_and_stitches_lead_to_the_author_of_the_other_post(tmp_path):
    posts = [
        Video("1", _ANN, "s", create_time=5, duet_of="2"),
        Video("2", _BOB, "s", create_time=4, stitch_of="9"),
    ]
    assert _edges(_corpus(tmp_path, posts)) == [
        Edge("duet", _ANN, "user", _BOB, "1", 5, "s"),
        Edge("stitch", _BOB, "video", "9", "2", 4, "s"),
    ]


def test_stored_edges_are_included_and_replies_lead_to_the_author(tmp_path):
    follow = Edge("follow", _ANN, "user", _BOB, None, None, "s")
    reply = Edge("reply", _EVE, "video", "1", "1", 9, "c")
    corpus = _corpus(tmp_path, [Video("1", _ANN, "s")], edges=[reply, follow])
    assert _edges(corpus) == [
        follow,
        Edge("reply", _EVE, "user", _ANN, "1", 9, "c"),
    ]


def test_edge_that_is_stored_and_implied_appears_once(tmp_path):
    edge = Edge("duet", _ANN, "user", _BOB, "1", None, "s")
    posts = [Video("1", _ANN, "s", duet_of="2"), Video("2", _BOB, "s")]
    assert _edges(_corpus(tmp_path, posts, edges=[edge])) == [edge]


def test_a_corpus_without_relations_has_no_edges(tmp_path):
    assert _edges(_corpus(tmp_path, [])) == []
