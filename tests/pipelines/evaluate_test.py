import re
from pathlib import Path

import polars as pl
import pytest

from dc_keras.study.split_manifest import Manifest

# Short trainings of what says most about a preset. The tiny world has few users of the
# eight posts that the paper asks for.
_SHORT = ("--epochs=2", "--patience=1", "--seeds=1")
_RUNS = {
    "default": (
        "cold_user",
        ["--num_folds=2", "--models=deepChallenger", "--models=simple"],
    ),
    "paper": ("random_pair", ["--num_folds=1", "--history_min=2"]),
}


@pytest.fixture(
    scope="module", params=["default", pytest.param("paper", marks=pytest.mark.long)]
)
def preset(request):
    return request.param


@pytest.fixture(scope="module")
def evaluation(chain, data, preset, world, key_file):
    split, flags = _RUNS[preset]
    return chain(
        "evaluate",
        f"--flagfile=presets/{preset}.flags",
        *_SHORT,
        *flags,
        f"--split={split}",
        f"--truth={world.output}/truth.json",
        f"--key_file={key_file}",
        *data,
        output=f"evaluation_{preset}",
    )


def test_both_presets_end_in_the_papers_tables(evaluation, preset):
    assert "Table II" in evaluation.stdout
    assert "synthetic" in evaluation.stdout
    tables = {path.stem for path in (evaluation.output / "tables").glob("*.md")}
    kinds = ("table_2", "metrics", "rankings", "challenges")
    split, _ = _RUNS[preset]
    wanted = {f"{kind}_{split}" for kind in kinds}
    # Under the paper's flags every form of deepChallenger is the same one.
    if preset == "paper":
        wanted |= {"table_1"}
    assert tables == wanted


def test_the_report_takes_the_corpus_of_the_run_only(
    evaluation, run_script, fails_in_one_line, corpus, world, tmp_path
):
    pytest.importorskip("plotly", reason="the extra `report` is not installed")
    other, page = tmp_path / "other", tmp_path / "report.html"
    done = run_script(
        "import_corpus",
        f"--input={world.output}/items.ndjson",
        f"--corpus={other}",
        f"--key_file={tmp_path}/other.key",
    )
    assert done.returncode == 0, done.stderr
    flags = ("report", f"--run={evaluation.output}", f"--output={page}")
    line = fails_in_one_line(*flags, f"--corpus={other}")
    assert f"that {evaluation.output} was evaluated on" in line
    assert f"corpus={other}, which lacks" in line
    assert not page.exists()
    done = run_script(*flags, f"--corpus={corpus.output}")
    assert done.returncode == 0, done.stderr
    text = page.read_text("utf-8")
    assert '<span class="badge">synthetic</span>' in text
    assert "Synthetic: no person, post or sound in it exists." in text


def test_every_judged_pair_is_kept(evaluation, preset):
    for path in (evaluation.output / "manifests").glob("*.json"):
        assert Manifest.read(path).sha256 == Manifest.stated_sha256(path)
    files = (evaluation.output / "predictions").glob("*.parquet")
    predictions = pl.concat([pl.read_parquet(file) for file in files])
    models = {"deepChallenger", "Bayes-optimal (known truth)", "popularity"}
    if preset == "paper":
        networks = ("tiny_frames", "tiny_colours")
        models |= {name + text for name in networks for text in ("", "+BERT")}
    assert models <= set(predictions["model"])
    assert predictions["score"].is_between(0, 1).all()
    assert predictions.group_by("model").len()["len"].n_unique() == 1


def test_another_configuration_is_refused(evaluation, fails_in_one_line, data):
    line = fails_in_one_line(
        "evaluate", *data, "--dropout=0.5", f"--output={evaluation.output}"
    )
    assert "another configuration" in line


def test_a_missing_study_is_reported(fails_in_one_line, corpus, tmp_path):
    study = tmp_path / "study.toml"
    line = fails_in_one_line(
        "evaluate",
        f"--corpus={corpus.output}",
        f"--study={study}",
        "--features=unread",
        f"--output={tmp_path}/run",
    )
    assert line == f"{study}: there is no such study file"


@pytest.mark.parametrize("script", ["evaluate", "train"])
def test_a_study_of_another_corpus_is_reported_with_the_nearest_hashtags(
    fails_in_one_line, corpus, misspelled_study, tmp_path, script
):
    study, right = misspelled_study
    line = fails_in_one_line(
        script,
        f"--corpus={corpus.output}",
        f"--study={study}",
        "--features=unread",
        f"--output={tmp_path}/run",
    )
    assert "no post matches wrong" in line
    assert f"most similar hashtags of the corpus: #{right}, #" in line


def test_a_challenge_without_posts_is_reported_and_the_others_are_used(
    run_script, corpus, world, misspelled_study, tmp_path
):
    study, right = misspelled_study
    # Its posts are right, so that the labels are those of the world.
    other = (world.output / "study.toml").read_text("utf-8")
    wrong = study.read_text("utf-8").partition("[challenges.wrong]")[2]
    study.write_text(f"{other}\n[challenges.wrong]{wrong}", "utf-8")
    done = run_script(
        "evaluate",
        f"--corpus={corpus.output}",
        f"--study={study}",
        f"--features={tmp_path}/none",
        f"--output={tmp_path}/run",
    )
    assert f"no post matches wrong (#{right}x)" in done.stderr
    assert "  wrong " in done.stdout


def test_the_truth_needs_the_key(fails_in_one_line, data, world, tmp_path):
    line = fails_in_one_line(
        "evaluate",
        *data,
        f"--truth={world.output}/truth.json",
        f"--output={tmp_path}/evaluation",
    )
    assert "--key_file" in line


def test_folds_are_not_fitted_by_several_workers_together(
    fails_in_one_line, data, tmp_path
):
    line = fails_in_one_line(
        "evaluate", "--strategy=multi_worker", *data, f"--output={tmp_path}/run"
    )
    assert line.endswith("Received: strategy=multi_worker.")


def test_tomorrow_knows_what_was_joined_before(
    run_script, corpus, study, features, tmp_path
):
    times = pl.read_parquet(corpus.output / "videos.parquet")["create_time"]
    own = tmp_path / "study.toml"
    settings = f"cutoff = {int(times.quantile(0.6))}\nmin_participations = 0\n"
    given = study.removeprefix("--study=")
    own.write_text(
        re.sub(
            r"^min_participations.*\n",
            settings,
            Path(given).read_text("utf-8"),
            count=1,
            flags=re.MULTILINE,
        ),
        "utf-8",
    )
    ran = run_script(
        "evaluate",
        f"--corpus={corpus.output}",
        f"--study={own}",
        f"--features={features.output}",
        "--split=temporal",
        "--models=simple",
        "--seeds=1",
        # Everybody is asked about: whom a pool would take, a random key decides.
        "--support=included",
        "--horizon_days=14",
        "--num_past=2",
        f"--output={tmp_path}/run",
    )
    assert ran.returncode == 0, ran.stderr
    assert "earlier joins a day × recent popularity" in ran.stdout
