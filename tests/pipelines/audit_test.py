import json

import pytest

from dc_keras.evaluation.result_tables import PAPER_TABLE_II
from dc_keras.study.resolution import resolve_study
from tfrecords.writer import write_manifest


@pytest.fixture(scope="module")
def grid(corpus, world):
    from dc_keras.corpus.store import Corpus
    from dc_keras.study.study import Study

    study = Study.load(world.output / "study.toml")
    return resolve_study(study, Corpus.open(corpus.output))


@pytest.fixture(scope="module")
def manifests(grid, tmp_path_factory):
    """The manifests that `evaluate` writes before training."""
    from dc_keras.options import ProtocolOptions, TrainingOptions
    from dc_keras.study.split_manifest import make_manifest

    directory = tmp_path_factory.mktemp("manifests")
    for split in ("cold_user", "random_pair"):
        make_manifest(
            grid, split, 1, ProtocolOptions(num_folds=3), TrainingOptions()
        ).write(directory)
    return directory


@pytest.fixture
def features(grid, tmp_path):
    """The manifest of feature records of masked captions."""
    tags = [tag for c in grid.settings["challenges"].values() for tag in c["hashtags"]]
    text = {"hashtags": "mask_focal", "focal_hashtags": tags, "preprocessing": 2}
    write_manifest(tmp_path, "features", {"vision": None, "text": text}, [])
    return tmp_path


@pytest.fixture
def table(tmp_path):
    def write(rows):
        lines = [",".join(map(str, row)) for row in rows]
        path = tmp_path / "table.csv"
        path.write_text("\n".join(["model,precision,recall,f1", *lines]), "utf-8")
        return f"--table={path}"

    return write


def test_a_sound_run_has_nothing_to_find(
    run_script, corpus, study, manifests, frames, features, tmp_path
):
    done = run_script(
        "audit",
        f"--corpus={corpus.output}",
        study,
        f"--manifest={manifests}",
        f"--records={frames.output}",
        f"--features={features}",
        f"--output={tmp_path}/reports/audit.json",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    skipped = [line for line in done.stdout.splitlines() if "  not run: " in line]
    assert [line.split("not run: ")[1] for line in skipped] == [
        "the study has no cutoff"
    ]
    assert "leak:" not in done.stdout
    assert "fault:" not in done.stdout
    for name in ("the same media twice", "users in two parts", "labels"):
        [line] = [line for line in done.stdout.splitlines() if f"  {name} " in line]
        assert "found 0" in line
        assert "checked 0 " not in line
    report = json.loads((tmp_path / "reports" / "audit.json").read_text("utf-8"))
    assert report["is_sound"] is True
    # Of cold_user, of random_pair, and of the grid that both divide.
    assert len(report["checks"]) == 4 + 1 + 9


def test_a_planted_leak_exits_with_one_and_is_reported(
    run_script, corpus, manifests, tmp_path
):
    content = json.loads((manifests / "cold_user.json").read_text("utf-8"))
    joined = next(ids[0] for ids in content["grid"]["support"] if ids)
    content["grid"]["histories"][0].insert(0, joined)
    content["folds"]["cold_user-seed0-fold1"]["hidden_users"] = []
    path = tmp_path / "edited.json"
    path.write_text(json.dumps(content), "utf-8")
    done = run_script("audit", f"--corpus={corpus.output}", f"--manifest={path}")
    assert done.returncode == 1, done.stderr
    user = content["grid"]["users"][0]
    assert f"leak: grid of {path}: post {joined} in the history of {user} shows #" in (
        done.stdout
    )
    assert f"leak: {path}: cold_user-seed0-fold1: hidden_users lacks" in done.stdout
    assert f"fault: {path}: the file states sha256" in done.stdout


def test_a_study_is_audited_alone(run_script, corpus, study):
    done = run_script("audit", f"--corpus={corpus.output}", study, "--support=included")
    # The paper's way: a user's own post describes the challenge.
    assert done.returncode == 1, done.stderr
    assert "leak: " in done.stdout
    assert "the user's own " in done.stdout
    assert "not run: needs --manifest" in done.stdout


def test_the_papers_table_is_rejected_row_by_row(run_script, table):
    rows = [(name, *numbers) for name, numbers in PAPER_TABLE_II.items()]
    done = run_script("audit", table(rows), "--table_classes=2", "--prevalence=.25")
    assert done.returncode == 1, done.stderr
    for name, reason in {
        "VGG16": "is impossible: F1 .083 > 2P = .034",
        "VGG16+BERT": "is impossible: R > .5 but P < .5",
        "ResNet50": "is impossible at a prevalence of .250",
        "ResNet50+BERT": "is impossible: R > .5 but P < .5",
        "deepChallenger": "is impossible: R > .5 but P < .5",
    }.items():
        assert f"fault: table.csv: {name} {reason}" in done.stdout


def test_an_honest_table_ends_with_zero(run_script, table):
    done = run_script("audit", table([("m", 0.729, 0.75, 0.733)]), "--table_classes=2")
    assert done.returncode == 0, done.stdout
    assert "identities of P, R, F1      checked 1 rows, found 0" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give --corpus with --study or --manifest, or --table, or both"),
        (["--study=s.toml"], "give --corpus with --study or --manifest"),
        (["--corpus=c"], "give --study or --manifest with --corpus"),
        (
            ["--corpus=c", "--study=s", "--prevalence=.2"],
            "--table_classes and --prevalence need --table",
        ),
    ],
)
def test_flags_without_sense_end_with_two(run_script, arguments, message):
    done = run_script("audit", *arguments)
    assert done.returncode == 2
    assert f"audit: error: {message}" in done.stderr


def test_a_table_that_is_none_is_one_line(fails_in_one_line, table):
    message = fails_in_one_line("audit", table([("m", "8.3", 0.1, 0.1)]))
    assert "line 2, column precision" in message


def test_records_of_another_kind_are_one_line(
    fails_in_one_line, corpus, study, features
):
    message = fails_in_one_line(
        "audit", f"--corpus={corpus.output}", study, f"--records={features}"
    )
    assert (
        message
        == f"{features} must contain records of kind frames. Received: kind='features'"
    )


def test_captions_cleaned_by_an_older_version_are_one_line(
    fails_in_one_line, corpus, study, tmp_path
):
    text = {"hashtags": "mask_focal", "focal_hashtags": ["a"], "preprocessing": 1}
    write_manifest(tmp_path, "features", {"vision": None, "text": text}, [])
    message = fails_in_one_line(
        "audit", f"--corpus={corpus.output}", study, f"--features={tmp_path}"
    )
    assert message == (
        f"{tmp_path}: captions must be cleaned by the same preprocessing version: extract "
        "the features again. Received: hashtags='mask_focal' with preprocessing=1, not 2"
    )


def test_a_file_of_an_artifact_is_never_replaced(fails_in_one_line, corpus, study):
    place = corpus.output / "corpus.json"
    before = place.read_bytes()
    line = fails_in_one_line(
        "audit", f"--corpus={corpus.output}", study, f"--output={place}"
    )
    assert "is part of the artifact" in line
    assert place.read_bytes() == before
