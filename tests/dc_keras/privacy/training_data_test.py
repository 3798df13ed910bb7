import json

import pytest

from dc_keras.corpus.records import Video
from dc_keras.privacy.training_data import find_trained_models
from dc_keras.study.resolution import resolve_study
from dc_keras.study.study import Study

# sha256("dc_keras/support pool/" + user) decides who is in the pool; with "included"
# there is none.
_STUDY = Study.of(
    {
        "study": {"name": "s", "min_participations": 0},
        "challenges": {
            "jump": {"hashtags": ["jump"]},
            "dance": {"hashtags": ["dance"]},
        },
    }
)


@pytest.fixture
def corpus(make_corpus, tmp_path):
    def video(number, user_id, *hashtags):
        posted = {"create_time": 10 + number, "hashtags": hashtags}
        return Video(str(number), user_id, "web_item", **posted)

    videos = [
        *(video(1, "ann"), video(2, "ann", "jump")),
        *(video(3, "bob"), video(4, "bob", "dance")),
        video(5, "cat", "other"),
    ]
    return make_corpus(tmp_path / "corpus", videos)


@pytest.fixture
def model(tmp_path, corpus):
    """A model of Ann and Bob, whose JSON has the challenges sorted by name."""
    grid = resolve_study(_STUDY, corpus, support="included")
    config = {
        "grid_sha256": grid.sha256,
        "study": grid.settings,
        "challenges": grid.challenges,
    }
    (tmp_path / "model").mkdir()
    path = tmp_path / "model" / "config.json"
    path.write_text(json.dumps(config, sort_keys=True))
    return path.parent


@pytest.mark.parametrize(
    ("code", "is_named"), [("ann", True), ("4", True), ("9", False)]
)
def test_a_model_is_named_if_its_grid_has_the_forgotten(
    corpus, model, forget, code, is_named
):
    named = find_trained_models([model], [corpus], forget(code))
    assert named == ([model] if is_named else [])


def test_a_model_of_a_grid_that_no_corpus_gives_is_named(
    corpus, make_corpus, model, forget, tmp_path
):
    other = make_corpus(tmp_path / "other", [Video("9", "zed", "web_item")])
    assert find_trained_models([model], [other], forget("8")) == [model]
    assert find_trained_models([model], [other, corpus], forget("8")) == []


def test_a_model_without_a_configuration_is_named(corpus, forget, tmp_path):
    unfinished = tmp_path / "unfinished"
    unfinished.mkdir()
    assert find_trained_models([unfinished], [corpus], forget("8")) == [unfinished]
