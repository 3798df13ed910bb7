import pytest
from fake_platform import EXECUTABLE, TOKEN, FakePlatform

from dc_keras.corpus.collecting.collector import collect
from dc_keras.corpus.collecting.plan import make_plan


@pytest.fixture
def platform():
    pytest.importorskip("TikTokApi", reason="the extra `collect` is not installed")
    if EXECUTABLE is None:
        pytest.skip("Chromium is not installed (Debian, Ubuntu: apt install chromium)")
    platform = FakePlatform()
    yield platform
    platform.close()
    assert platform.strays == []


@pytest.fixture
def run(platform, tmp_path, monkeypatch):
    """Collects to tmp_path; returns the outcomes by name of the target."""

    start = "dc_keras.corpus.collecting.session.chromium"
    monkeypatch.setattr(start, lambda executable: platform.open_context)

    def run(report=lambda line: None, **changes):
        nothing = {"hashtags": [], "users": [], "sounds": [], "count": 100}
        group = {"seed_user": None, "group_size": None, "with_media": False}
        outcomes = collect(
            make_plan(**nothing | group | changes),
            tmp_path,
            interval_s=0.01,
            ms_token=TOKEN,
            browser=None,
            report=report,
        )
        return {outcome.target.name: outcome for outcome in outcomes}

    return run
