"""The public Python API: what a notebook may rely on."""

import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import polars as pl
import pytest
import simulated_corpus
import tensorflow as tf

import dc_keras as dc

# Names that users may rely on: one that goes, or changes its meaning, breaks them.
_NAMES = [
    "ContextOptions",
    "Corpus",
    "DataError",
    "Features",
    "ModelOptions",
    "ParticipationDataset",
    "Predictor",
    "ProtocolOptions",
    "RawPost",
    "RawUser",
    "Study",
    "TrainingOptions",
    "__version__",
    "evaluate",
    "export",
    "fit_participation",
    "import_exports",
    "load_bundle",
    "load_participation",
    "models",
]
_MODELS = ["ChallengeProxy", "DeepChallenger", "UserProxy", "embedding_model"]
_QUICK = {"epochs": 2, "epoch_steps": 1, "patience": 0}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A directory with a corpus, features of two networks, and a study."""
    place = tmp_path_factory.mktemp("notebook")
    corpus, study = simulated_corpus.write_corpus(place / "run")
    features = place / "run" / "features"
    simulated_corpus.write_features(features / "vgg16", corpus, "VGG16", True)
    simulated_corpus.write_features(features / "resnet50", corpus, "ResNet50", False)
    (place / "studies").mkdir()
    (place / "studies" / "example.toml").write_bytes(study.read_bytes())
    return place


@pytest.fixture(scope="module")
def corpus(place):
    return dc.Corpus.open(place / "run" / "corpus")


@pytest.fixture(scope="module")
def study(place):
    return dc.Study.load(place / "studies" / "example.toml")


@pytest.fixture(scope="module")
def features(corpus):
    """Features from arrays, as of a user with an encoder of their own."""
    return dc.Features.from_arrays(
        corpus.videos["video_id"].to_list(),
        frames={"CLIP": simulated_corpus.frame_vectors(corpus)},
        captions=simulated_corpus.caption_vectors(corpus),
    )


@pytest.fixture(scope="module")
def data(corpus, study, features):
    return dc.ParticipationDataset(corpus, study, features)


@pytest.fixture(scope="module")
def parts(data):
    return data.split("cold_user", fold=0)


@pytest.fixture(scope="module")
def fitted(parts):
    train, valid, _ = parts
    return dc.fit_participation(
        train,
        valid,
        model=dc.ModelOptions(hidden_dim=8, projection_dim=4),
        training=dc.TrainingOptions(**_QUICK),
    )


@pytest.fixture(scope="module")
def saved(fitted, tmp_path_factory):
    directory = tmp_path_factory.mktemp("saved") / "model"
    fitted.save(directory)
    return directory


def test_public_names_are_these():
    assert dc.__all__ == _NAMES
    assert dc.models.__all__ == _MODELS
    assert set(_NAMES) <= set(dir(dc))
    assert set(_MODELS) <= set(dir(dc.models))
    for module, names in ((dc, _NAMES), (dc.models, _MODELS)):
        for name in names:
            assert getattr(module, name) is not None
    with pytest.raises(AttributeError, match="'dc_keras' has no attribute 'evalute'"):
        dc.evalute  # noqa: B018
    with pytest.raises(AttributeError, match=r"'dc_keras\.models' has no attribute"):
        dc.models.Proxy  # noqa: B018


@pytest.mark.parametrize("name", ["dc_keras", "dc_keras.models", "tfrecords"])
def test_importing_a_package_imports_nothing_heavy(name):
    code = f"import sys, {name}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(done.stdout.split())
    assert not loaded & {"tensorflow", "keras", "polars", "numpy", "sklearn"}


def test_the_example_works_as_printed(place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    corpus = dc.Corpus.open("run/corpus")
    study = dc.Study.load("studies/example.toml")
    features = dc.Features.load("run/features/vgg16", "run/features/resnet50")
    data = dc.ParticipationDataset(corpus, study, features)
    train, valid, test = data.split("cold_user", fold=0)

    model = dc.models.DeepChallenger.from_preset("default", data=train)
    model.compile("adam", "binary_crossentropy", metrics=["auc"])
    history = model.fit(train.to_tf(512), validation_data=valid.to_tf(512))
    model.save("model.keras")  # and keras.models.load_model reads it back
    table = dc.evaluate(model, test)  # a table: AP, interval, baselines beside it
    bundle = dc.export(model, "bundle")  # a SavedModel for tf-serving

    assert {"loss", "auc", "val_auc"} <= set(history.history)
    inputs = next(iter(test.to_tf(64)))[0]
    loaded = keras.models.load_model("model.keras")
    np.testing.assert_array_equal(loaded(inputs), model(inputs))
    assert table.rows[0][0] == "deep_challenger"
    assert {"popularity", "TF-IDF cosine"} <= {row[0] for row in table.rows}
    # VGG16 and a caption on one side, ResNet50 and the caption on the other.
    assert model.sizes["challenge_dim"] == model.sizes["user_dim"] == 6 + 64
    served = tf.saved_model.load(str(bundle)).signatures["score"]
    answers = served(**inputs)["probability"]
    np.testing.assert_allclose(answers, model(inputs), atol=1e-5)


def test_proxies_are_fitted_and_their_embeddings_fused(data, parts):
    train, valid, _ = parts
    proxies = []
    for proxy, part, other in (
        (dc.models.ChallengeProxy, train.challenge_videos(), valid.challenge_videos()),
        (dc.models.UserProxy, train.user_videos(), valid.user_videos()),
    ):
        model = proxy.from_preset("default", data=part, hidden_dim=12)
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        model.fit(part.to_tf(64), validation_data=other.to_tf(64), verbose=0)
        assert model.output.shape == (None, len(part.classes))
        mean = model.get_layer("standardize_caption").mean.numpy()
        rows = np.unique(part.task.rows[part.rows])
        seen = data.features.captions[rows]
        np.testing.assert_allclose(mean, seen.mean(axis=0), atol=1e-5)
        proxies.append(model)
    embedded = data.with_embeddings(*proxies)
    train, *_ = embedded.split("cold_user", fold=0)
    fusion = dc.models.DeepChallenger.from_preset("paper", data=train, hidden_dim=8)
    assert fusion.sizes["challenge_dim"] == fusion.sizes["user_dim"] == 12
    fusion.compile("adam", "binary_crossentropy")
    fusion.fit(train.to_tf(64), class_weight={0: 0.5, 1: 2.0}, verbose=0)
    # The dataset itself keeps its vectors.
    assert data.vectors["user"].shape[1] == 6 + 64


def test_a_table_shows_itself_and_turns_into_a_data_frame(fitted, parts):
    *_, test = parts
    table = dc.evaluate(fitted, test)
    frame = table.to_polars()
    assert frame.columns == ["model", "AP", "95 %", "AUC", "F1", "Δ AP", "Δ 95 %"]
    assert frame["model"][0] == "deepChallenger"
    rest = frame["AP"][1:].to_list()
    assert rest == sorted(rest, reverse=True)
    assert repr(table) == table.to_console()
    assert table._repr_markdown_().startswith("### Participation, test part of cold_")
    best = frame["model"][1]
    assert frame["Δ AP"][0] == pytest.approx(frame["AP"][0] - frame["AP"][1])
    assert any(f"strongest simple baseline ({best})" in note for note in table.notes)


def test_an_array_of_probabilities_is_judged_too(parts):
    *_, test = parts
    rng = np.random.default_rng(0)
    guess = rng.random(len(test))
    table = dc.evaluate(guess, test, name="guess", baselines=False)
    assert [row[0] for row in table.rows] == ["guess"]
    perfect = dc.evaluate(test.labels, test, baselines=False).to_polars()
    assert (perfect["AP"][0], perfect["AUC"][0]) == (1.0, 1.0)
    for wrong, rule in (
        (guess[:-1], "a probability in [0, 1] for each of"),
        (guess + 1, "with values outside [0, 1]"),
    ):
        with pytest.raises(dc.DataError, match=rule.replace("[", r"\[")):
            dc.evaluate(wrong, test)


def test_the_recipe_is_the_one_that_evaluate_judges(fitted, data, parts):
    from dc_keras.evaluation.experiment import Experiment
    from dc_keras.evaluation.fold_run import FoldRun

    train, valid, test = parts
    experiment = Experiment(
        data.grid,
        data.features,
        data.facts,
        model=fitted.recipe.model,
        training=fitted.recipe.training,
        models=("deepChallenger", "simple"),
    )
    run = FoldRun(experiment, train.data.fold, 0, "fold", lambda line: None)
    judged = run.predictions()
    ours = judged.filter(model="deepChallenger", part="test")
    assert ours.select("user_id", "challenge", "label").equals(test.pairs)
    np.testing.assert_allclose(fitted.predict(test), ours["score"], atol=1e-6)
    ours = judged.filter(model="deepChallenger", part="valid")
    np.testing.assert_allclose(fitted.predict(valid), ours["score"], atol=1e-6)
    popularity = judged.filter(model="popularity", part="test")["score"]
    named = {row[0]: row[1] for row in dc.evaluate(fitted, test).rows}
    again = dc.evaluate(popularity.to_numpy(), test, baselines=False).rows[0][1]
    assert named["popularity"] == pytest.approx(again)


def test_a_baseline_of_the_paper_is_the_one_that_evaluate_judges(data, parts, tmp_path):
    from dc_keras.evaluation.experiment import Experiment
    from dc_keras.evaluation.fold_run import FoldRun

    train, valid, test = parts
    training, name = dc.TrainingOptions(**_QUICK), "CLIP+BERT"
    fitted = dc.fit_participation(train, valid, training=training, baseline=name)
    experiment = Experiment(
        data.grid, data.features, data.facts, training=training, models=("paper",)
    )
    run = FoldRun(experiment, train.data.fold, 0, "fold", lambda line: None)
    judged = run.predictions().filter(model=name, part="test")
    assert judged.select("user_id", "challenge", "label").equals(test.pairs)
    np.testing.assert_allclose(fitted.predict(test), judged["score"], atol=1e-6)
    fitted.save(tmp_path / "model")
    loaded = dc.load_participation(tmp_path / "model")
    assert loaded.name == fitted.name == name
    np.testing.assert_allclose(loaded.predict(test), judged["score"], atol=1e-5)


def test_a_saved_model_answers_as_before(fitted, saved, parts, data):
    *_, test = parts
    loaded = dc.load_participation(saved)
    # Nobody's joins are known in a split by users, so that posts say everything.
    np.testing.assert_allclose(loaded.predict(test), fitted.predict(test), atol=1e-5)
    # Their fields hold captions, which a notebook would show.
    assert repr(fitted).startswith("<TrainedParticipation: deepChallenger, fitted on")
    assert repr(loaded).startswith("<SavedParticipation: deepChallenger of")
    assert max(len(repr(fitted)), len(repr(loaded))) < 400
    table = dc.evaluate(loaded, test, baselines=False)
    assert table.rows[0][:2] == dc.evaluate(fitted, test, baselines=False).rows[0][:2]
    config = json.loads((saved / "config.json").read_text("utf-8"))
    assert config["task"] == "participation"
    assert config["split"] == {"name": "cold_user", "fold": 0, "seed": 0}
    with pytest.raises(dc.DataError, match="overwrite=True replaces a model"):
        fitted.save(saved)
    before = (saved / "SHA256SUMS").read_bytes()
    fitted.save(saved, overwrite=True)
    assert (saved / "SHA256SUMS").read_bytes() != b"" != before
    with pytest.raises(dc.DataError, match="is not a finished model directory"):
        fitted.save(saved.parent, overwrite=True)
    other = data.split("cold_user", fold=1)[2]
    with pytest.raises(dc.DataError, match="`part` must belong to the split"):
        fitted.predict(other)
    assert loaded.predict(other).shape == (len(other),)


def test_features_from_arrays_make_no_bundle_of_raw_posts(fitted, saved, tmp_path):
    for model in (fitted, saved, dc.load_participation(saved)):
        with pytest.raises(dc.DataError, match="features of 'CLIP' from arrays"):
            dc.export(model, tmp_path / "bundle")
    assert not list(tmp_path.glob("bundle/*"))


def test_another_kind_of_model_is_refused(tmp_path):
    with pytest.raises(TypeError, match="`model` must be a DeepChallenger"):
        dc.export(keras.Sequential(), tmp_path)


@pytest.mark.parametrize(
    ("call", "rule"),
    [
        (
            lambda v: dc.ParticipationDataset(v.study, v.corpus, v.features),
            "`corpus` must be a Corpus. Received: Study",
        ),
        (
            lambda v: dc.ParticipationDataset(v.corpus, v.features, v.study),
            "`study` must be a Study. Received: Features",
        ),
        (
            lambda v: dc.evaluate(v.test, v.guess),
            "`part` must be a ParticipationPart. Received: ndarray",
        ),
        (
            lambda v: dc.fit_participation(v.train, v.valid, training={"epochs": 1}),
            "`training` must be a TrainingOptions. Received: dict",
        ),
        (
            lambda v: dc.fit_participation(v.data, v.data),
            "`train` must be a ParticipationPart. Received: ParticipationDataset",
        ),
        (
            lambda v: v.fitted.predict(v.test.pairs),
            "`part` must be a ParticipationPart. Received: DataFrame",
        ),
        (
            lambda v: dc.export(v.fitted, "bundle", data=v.data),
            "`data` must be a ParticipationPart. Received: ParticipationDataset",
        ),
        (
            lambda v: dc.models.DeepChallenger.from_preset("default", data=v.data),
            "`data` of DeepChallenger must be a part of a split. Received: Partic",
        ),
        (
            lambda v: dc.models.ChallengeProxy.from_preset("default", data=v.train),
            "`data` of ChallengeProxy must be `challenge_videos()` of a part of a spl",
        ),
        (
            lambda v: dc.models.UserProxy.from_preset(
                "default", data=v.train.challenge_videos(), hidden_dim=2
            ),
            "`data` of UserProxy must be `user_videos()` of a part of a split. "
            "Received: <challenge videos, train part of cold_user, fold 0:",
        ),
        (
            lambda v: v.data.with_embeddings(
                dc.models.UserProxy(2, caption_dim=3), dc.models.UserProxy(2, 1, 1)
            ),
            "`challenge_proxy` comes first, `user_proxy` second. Received: UserProxy,",
        ),
    ],
)
def test_arguments_of_another_type_are_refused(
    call, rule, corpus, study, features, data, parts, fitted
):
    train, valid, test = parts
    values = SimpleNamespace(
        corpus=corpus,
        study=study,
        features=features,
        data=data,
        train=train,
        valid=valid,
        test=test,
        fitted=fitted,
        guess=np.full(len(test), 0.5),
    )
    with pytest.raises(TypeError, match=re.escape(rule)):
        call(values)


def test_scores_may_be_any_array_and_have_an_axis_of_one_output(parts):
    *_, test = parts
    guess = np.random.default_rng(0).random(len(test))
    table = dc.evaluate(guess, test, baselines=False)
    for same in (pl.Series(guess), tf.constant(guess), list(guess), guess[:, None]):
        assert dc.evaluate(same, test, baselines=False).rows == table.rows
    inputs = {
        name: keras.Input(spec.shape[1:], name=name, dtype=spec.dtype)
        for name, spec in test.to_tf().element_spec[0].items()
    }
    pooled = keras.layers.Flatten()(inputs["user"])
    own = keras.Model(inputs, keras.layers.Dense(1, "sigmoid")(pooled), name="own")
    assert dc.evaluate(own, test, baselines=False).rows[0][0] == "own"
    with pytest.raises(dc.DataError, match="must not be that of a simple baseline"):
        dc.evaluate(guess, test, name="popularity")
    with pytest.raises(dc.DataError, match=r"must be a Keras model.*Received: str"):
        dc.evaluate("run/model", test)


def test_a_split_may_be_made_again(fitted, data, parts):
    _, valid, test = data.split("cold_user", fold=0)
    np.testing.assert_array_equal(fitted.predict(test), fitted.predict(parts[2]))
    with pytest.raises(dc.DataError, match="`baseline` must be one of CLIP"):
        dc.fit_participation(parts[0], valid, baseline="nothing")
    with pytest.raises(dc.DataError, match="`name` must be one of train, valid, test"):
        test.part("validation")


def test_features_under_another_name_are_refused(saved, corpus, study, features):
    renamed = dc.Features.from_arrays(
        features.video_ids,
        frames={"other": features.vision["CLIP"].frames},
        captions=features.captions,
    )
    _, _, test = dc.ParticipationDataset(corpus, study, renamed).split("cold_user")
    with pytest.raises(dc.DataError, match=r"encoder CLIP of the model\. .*: other$"):
        dc.load_participation(saved).predict(test)


def test_parts_of_two_splits_are_refused(data, parts):
    train, _, test = parts
    _, other, _ = data.split("cold_user", fold=1)
    for wrong in (other, test):
        with pytest.raises(
            dc.DataError, match="must be the training and the validation part"
        ):
            dc.fit_participation(train, wrong)


def test_exports_are_imported_in_one_call(place, tmp_path):
    world = place / "run" / "world" / "items.ndjson"
    corpus = dc.import_exports(
        [world], tmp_path / "corpus", key_file=tmp_path / "pseudonym.key"
    )
    assert isinstance(corpus.videos, pl.DataFrame)
    assert corpus.videos.height == len(world.read_text("utf-8").splitlines())
    (tmp_path / "nothing.json").write_text('[{"a": 1}]', "utf-8")
    with pytest.raises(dc.DataError, match="must contain records of a known format"):
        dc.import_exports(
            tmp_path / "nothing.json",
            tmp_path / "other",
            key_file=tmp_path / "pseudonym.key",
        )
