import json
import re
from html.parser import HTMLParser
from itertools import pairwise

import polars as pl
import pytest
from saved_runs import CHALLENGES

from dc_keras.corpus.store import Corpus
from dc_keras.errors import DataError

report = pytest.importorskip(
    "dc_keras.reporting.report", reason="the extra `report` is not installed"
)
render_page, write_report = report.render_page, report.write_report


def test_a_corpus_without_a_card_is_refused(saved_run, tmp_path):
    corpus = Corpus(tmp_path, {})
    with pytest.raises(
        DataError, match=r"must have a DATASET_CARD.md: .*import_corpus"
    ):
        write_report(saved_run, tmp_path / "report.html", corpus)


def test_the_corpus_must_have_the_posts_of_the_run(saved_run, tmp_path):
    (tmp_path / "DATASET_CARD.md").write_text("# Dataset card\n\nfound", "utf-8")
    corpus, output = Corpus(tmp_path, {}), tmp_path / "report.html"
    rows = list(saved_run.video_users().items())
    posts = pl.DataFrame(rows, schema=["video_id", "user_id"], orient="row")
    # A post is missing, and another has the pseudonym of another key.
    user = pl.when(pl.col("video_id") == "v_0001").then(pl.lit("x"))
    corpus.videos = posts[1:].with_columns(user_id=user.otherwise("user_id"))
    with pytest.raises(DataError) as caught:
        write_report(saved_run, output, corpus)
    assert str(caught.value) == (
        f"`corpus` must be the corpus that {saved_run.directory} was evaluated on. "
        f"Received: corpus={tmp_path}, which lacks 2 of its 60 posts"
    )
    assert not output.exists()
    corpus.videos = posts
    write_report(saved_run, output, corpus)
    assert "<p>found</p>" in output.read_text("utf-8")


def test_directories_are_created_and_writes_are_atomic(saved_run, tmp_path):
    write_report(saved_run, tmp_path / "new" / "report.html")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["report.html"]
    assert (tmp_path / "new" / "report.html").stat().st_size > 1_000_000


_CARD = """# Dataset card

## What is in it

<script>alert(2)</script> ![](https://example.org/pixel.png) [site](https://example.org)

| what | number |
|---|---:|
| posts | 1,350 |
"""
_PLOTS = 2 * 5


@pytest.fixture(scope="module")
def page(saved_run):
    return render_page(saved_run, _CARD)


class _Outline(HTMLParser):
    """Collects tags with their attributes, in order."""

    def __init__(self):
        super().__init__()
        self.tags = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def named(self, *names):
        return [attributes for tag, attributes in self.tags if tag in names]


@pytest.fixture(scope="module")
def outline(page):
    outline = _Outline()
    outline.feed(page)
    return outline


def _without_plotly(page):
    return re.sub(r"<script>/\*\*.*?</script>", "", page, count=1, flags=re.S)


def test_the_page_contains_the_results(page, saved_run):
    assert page.startswith("<!DOCTYPE html>")
    assert "<title>Who joins? synthetic world, study made up</title>" in page
    assert '<span class="badge">synthetic</span>' in page
    for table in saved_run.tables.values():
        for column in set(table.columns) - {"paper P / R / F1", "breaks"}:
            assert f">{column.replace('>', '&gt;')}</th>" in page


def test_real_data_are_not_called_synthetic(tmp_path):
    from saved_runs import write_run

    from dc_keras.evaluation.saved_run import SavedRun

    run = SavedRun.open(write_run(tmp_path, num_users=12, proxies=False))
    page = render_page(run)
    assert "<title>Who joins? corpus, study made up</title>" in page
    assert 'class="badge"' not in page
    assert "Dataset card" not in page
    assert "Table I:" not in page


def test_the_papers_values_stand_beside_its_own_challenges_only(tmp_path, page):
    from saved_runs import write_run

    from dc_keras.evaluation.saved_run import SavedRun

    paper = render_page(SavedRun.open(write_run(tmp_path, num_users=12, study="paper")))
    for values in ("0.494 / 0.933 / 0.494", "0.660 / 0.563 / 0.494"):
        assert values in paper
        assert values not in page


def test_the_verdict_and_its_chart_come_first(page):
    text = _without_plotly(page)
    order = [
        "For new users, deepChallenger has",
        'id="cold_user-plot-1"',
        "<nav",
        "<table",
    ]
    places = [text.index(part) for part in order]
    assert places == sorted(places)


def test_configuration_is_shown_in_full(page):
    assert re.search(r"<th scope=\"row\">training.epochs</th>\s*<td>7</td>", page)


def test_names_from_the_data_are_harmless(page):
    text = _without_plotly(page)
    assert len(page) - len(text) > 1_000_000
    for number in (1, 2):
        assert f"<script>alert({number})</script>" not in text
        assert f"&lt;script&gt;alert({number})&lt;/script&gt;" in text


def test_control_characters_of_names_are_escaped(tmp_path):
    from saved_runs import write_run

    from dc_keras.evaluation.saved_run import SavedRun

    names = ("dance", "cats", "\x1b\x9b0m\u202egnp")
    run = SavedRun.open(write_run(tmp_path, challenges=names, num_users=12))
    page = _without_plotly(render_page(run, "# Card\n\n#a\x1b[2J\u202e"))
    assert not {"\x1b", "\x9b", "\u202e"} & set(page)
    assert r"#a\u001b[2J\u202e" in page
    assert r"\u001b\u009b0m\u202egnp" in page
    figures = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', page)
    labels = "".join(str(json.loads(text)) for text in figures)
    assert r"\\u001b\\u009b0m\\u202egnp" in labels
    assert r"\x1b" not in labels
    table = run.tables["challenges_cold_user"]
    for text in (table.to_console(), table.to_markdown(), table.to_latex()):
        assert not {"\x1b", "\x9b", "\u202e"} & set(text)


def test_nothing_is_fetched(outline):
    for attributes in (attributes for _, attributes in outline.tags):
        assert not attributes.keys() & {"src", "srcset", "data", "poster"}
    assert outline.named("link", "img", "iframe", "base", "object") == []
    [policy] = [m for m in outline.named("meta") if "http-equiv" in m]
    assert policy["content"].startswith("default-src 'none'; ")
    assert "http" not in policy["content"]


def test_the_page_is_accessible(outline, page):
    [html] = outline.named("html")
    assert html["lang"] == "en"
    levels = [int(tag[1]) for tag, _ in outline.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))
    tables = len(outline.named("table"))
    # The card's table is the corpus's; each of ours has a caption.
    assert len(outline.named("caption")) == tables - 1
    plots = [d for d in outline.named("div") if d.get("class") == "plot"]
    assert len(plots) == _PLOTS
    assert all(plot["aria-label"] and plot["role"] == "img" for plot in plots)
    ids = [a["id"] for _, a in outline.tags if "id" in a]
    assert len(ids) == len(set(ids))
    for link in re.findall(r'href="#([^"]+)"', page):
        assert link in ids


def test_seeding_lists_show_pseudonyms(page):
    assert re.search(r'<th scope="row">u_\d{4}</th><td>0\.\d{3}</td><td>yes</td>', page)


def test_equal_runs_give_equal_pages(page, saved_run):
    assert render_page(saved_run, _CARD) == page


@pytest.fixture(scope="module")
def page_file(page, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(page, "utf-8")
    return path


@pytest.fixture(scope="module", params=[(390, "light"), (1280, "dark")], ids=str)
def opened(request, open_page, page_file):
    """The page in a browser, and its messages and requests."""
    width, scheme = request.param
    shown, messages = open_page(page_file, width, scheme)
    return shown, messages, width


def test_a_browser_shows_it_without_a_word_or_a_request(opened, page_file):
    shown, messages, width = opened
    assert messages == [page_file.as_uri()]
    # Each plot has points, bars or lines of at least three models.
    for box in shown.locator(".plot").all():
        assert box.locator("path.js-line, path.point, .point path").count() >= 3
    drawn = shown.locator(".plot svg.main-svg").first.bounding_box()
    assert 200 < drawn["width"] <= width


def test_the_legend_shows_and_hides_lines(opened):
    shown, _, _ = opened
    figure = shown.locator("figure", has=shown.locator("#cold_user-plot-2"))
    assert figure.locator("svg .legend").count() == 0
    lines = figure.locator("path.js-line")
    before = lines.count()
    hidden = figure.locator('.legend button[aria-pressed="false"]')
    names = hidden.all_text_contents()
    assert names == ["VGG16+BERT", "deepChallenger without text"]
    hidden.first.click()
    shown.wait_for_function(f"""document.querySelectorAll(
        "#cold_user-plot-2 path.js-line").length === {before + 1}""")
    figure.locator(".legend button", has_text=names[0]).click()
    shown.wait_for_function(f"""document.querySelectorAll(
        "#cold_user-plot-2 path.js-line").length === {before}""")


def test_only_tables_scroll_sideways(opened):
    shown, _, width = opened
    shown.evaluate(
        "document.querySelectorAll('details').forEach((d) => (d.open = true))"
    )
    sizes = shown.evaluate(
        "[document.documentElement.scrollWidth, document.body.scrollWidth]"
    )
    assert max(sizes) <= width
    wide = shown.locator("#cold_user-metrics")
    box = wide.locator("xpath=..")
    assert wide.bounding_box()["width"] > box.bounding_box()["width"]


def test_names_are_drawn_as_they_are(opened):
    shown, _, _ = opened
    labels = " ".join(shown.locator("#cold_user-plot-5 .ytick").all_text_contents())
    assert "<script>alert(1)</" in labels
    assert set(CHALLENGES[:2]) <= set(labels.split())


def test_the_page_can_be_read_on_a_phone_and_on_a_desk(check_page, page):
    check_page(page)


def test_figures_are_plain_data(page):
    found = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', page)
    assert len(found) == _PLOTS
    for text in found:
        assert json.loads(text)["data"]
