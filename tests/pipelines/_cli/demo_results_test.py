import re

import pytest

pytest.importorskip("plotly", reason="the extra `report` is not installed")
from pipelines._cli.demo_results import write_index


def test_the_index_links_what_was_made_and_says_synthetic(tmp_path):
    for name in ("reach/reach.html", "seeds.csv", "unknown.csv"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    text = write_index(tmp_path, "40 users, <3> challenges").read_text("utf-8")
    assert re.findall(r'href="(.*?)"', text) == ["reach/reach.html", "seeds.csv"]
    assert "a world of 40 users, &lt;3&gt; challenges" in text
    assert '<span class="badge">synthetic</span>' in text
    assert "<script" not in text
