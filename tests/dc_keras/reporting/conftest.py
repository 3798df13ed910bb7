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

        def open_file(path, width, scheme, height=800):
            shown = browser.new_page(
                viewport={"width": width, "height": height}, color_scheme=scheme
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


# The texts whose contrast with their background is below that of WCAG 2 AA.
_PALE = """() => {
  const parse = (text) => {
    const [r, g, b, a] = text.match(/[\\d.]+/g).map(Number);
    return [r, g, b, a ?? 1];
  };
  const over = ([r, g, b, a], ground) =>
    [r, g, b].map((value, i) => a * value + (1 - a) * ground[i]);
  const ground = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement)
      layers.push(parse(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((below, layer) => over(layer, below), [0, 0, 0]);
  };
  const luminance = (colour) => {
    const [r, g, b] = colour.map((value) => value / 255).map(
      (c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const pale = [];
  for (const element of document.querySelectorAll("body *")) {
    const text = [...element.childNodes].filter((n) => n.nodeType === 3)
      .map((n) => n.textContent.trim()).join("");
    if (!text || !element.getClientRects().length) continue;
    const style = getComputedStyle(element);
    const paint = element instanceof SVGElement ? style.fill : style.color;
    const below = ground(element);
    const both = [over(parse(paint), below), below].map(luminance).sort((a, b) => a - b);
    const contrast = (both[1] + 0.05) / (both[0] + 0.05);
    const isLarge = parseFloat(style.fontSize) >= 24;
    if (contrast < (isLarge ? 3 : 4.5)) pale.push(`${text}: ${contrast.toFixed(1)}`);
  }
  return pale;
}"""


@pytest.fixture(scope="module")
def check_page(open_page, tmp_path_factory):
    """Checks a page on a phone and on a desk, light and dark, and returns the last."""

    def check(text):
        path = tmp_path_factory.mktemp("page") / "page.html"
        path.write_text(text, "utf-8")
        for width, height, scheme in ((390, 800, "light"), (1400, 900, "dark")):
            shown, messages = open_page(path, width, scheme, height)
            images = [m for m in messages if m.startswith("data:image/jpeg")]
            assert [m for m in messages if m not in images] == [path.as_uri()]
            chart = shown.locator(".plot, .answer").first.bounding_box()
            assert chart["width"] <= width
            # The first chart is seen without scrolling on a desk.
            if width > 1000:
                assert chart["y"] + chart["height"] <= height
            shown.evaluate(
                "document.querySelectorAll('details').forEach((d) => (d.open = true))"
            )
            sizes = "[document.documentElement.scrollWidth, document.body.scrollWidth]"
            assert max(shown.evaluate(sizes)) <= width
            assert shown.evaluate(_PALE) == []
        return shown

    return check
