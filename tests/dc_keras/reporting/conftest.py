import pytest
from saved_runs import write_run

from dc_keras.evaluation.saved_run import SavedRun


@pytest.fixture(scope="session")
def saved_run(tmp_path_factory):
    """A run on two splits of a world with a known truth."""
    directory = tmp_path_factory.mktemp("run")
    return SavedRun.open(write_run(directory, ("cold_user", "random_pair"), truth="ab"))


@pytest.fixture(scope="session")
def judgement(saved_run):
    return saved_run.judgements["cold_user"]


@pytest.fixture(scope="session")
def predictions(judgement):
    return judgement.predictions
