import shutil

import pytest
from saved_runs import write_run

from dc_keras.evaluation.saved_run import SavedRun


@pytest.fixture(scope="session")
def saved_run(tmp_path_factory):
    """A run on two splits of a world with a known truth."""
    directory = tmp_path_factory.mktemp("run")
    return SavedRun.open(write_run(directory, ("cold_user", "random_pair"), truth="ab"))


@pytest.fixture(scope="session")
def result(saved_run):
    return saved_run.judgements["cold_user"]


@pytest.fixture(scope="session")
def predictions(result):
    return result.predictions


@pytest.fixture(scope="module")
def open_page():
    """Opens a file in a browser; returns the page, and its messages and requests."""
    sync_api = pytest.importorskip(
        "playwright.sync_api", reason="the extra `collect` is not installed"
    )
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("Chromium is not installed (Debian, Ubuntu: apt install chromium)")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium)

        def open_file(path, width, scheme):
            shown = browser.new_page(
                viewport={"width": width, "height": 800}, color_scheme=scheme
            )
            messages = []
            shown.on("console", lambda message: messages.append(message.text))
            shown.on("pageerror", lambda error: messages.append(str(error)))
            shown.on("request", lambda request: messages.append(request.url))
            shown.on("dialog", lambda dialog: messages.append(dialog.message))
            shown.goto(path.as_uri())
            shown.wait_for_function(
                "[...document.querySelectorAll('.plot')].every(p => p.dataset.drawn)"
            )
            return shown, messages

        yield open_file
        browser.close()
