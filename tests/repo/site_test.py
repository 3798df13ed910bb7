"""The documentation as a site: it builds, and no link or file of a page is missing."""

import subprocess
import sys
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import pytest

# What a browser loads by itself, beside what a reader follows.
_LOADED = {("img", "src"), ("script", "src"), ("link", "href")}
_LINKS = {*_LOADED, ("a", "href")}


class _Page(HTMLParser):
    """Collects the links of a page and the names to which others can link."""

    def __init__(self, file):
        super().__init__()
        self.links, self.loaded, self.names = [], [], {""}
        self.feed(file.read_text("utf-8"))

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.names |= {found[key] for key in ("id", "name") if found.get(key)}
        for key, value in attrs:
            if (tag, key) in _LINKS:
                self.links.append(value)
            if (tag, key) in _LOADED and found.get("rel") != "canonical":
                self.loaded.append(value)


@pytest.fixture(scope="module")
def pages(root, tmp_path_factory):
    for module in ("mkdocs", "material", "mkdocstrings"):
        pytest.importorskip(module, reason="the extra `docs`")
    site = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", site],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {file.resolve(): _Page(file) for file in site.rglob("*.html")}


@pytest.mark.long
def test_every_link_leads_somewhere(pages):
    broken = []
    for file, page in pages.items():
        if file.name == "404.html":  # its links begin at the root of a server
            continue
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (file.parent / unquote(parts.path)).resolve()
            target = file if not parts.path else target
            names = pages[target].names if target in pages else {""}
            if not target.is_file() or unquote(parts.fragment) not in names:
                broken.append((file.name, link))
    assert broken == []


@pytest.mark.long
def test_pages_load_nothing_from_elsewhere(pages):
    loaded = [link for page in pages.values() for link in page.loaded]
    assert loaded
    assert [link for link in loaded if urlsplit(link).netloc] == []
