import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

# A fenced block: its language and its lines.
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
_COMMAND = re.compile(r"python -m pipelines\.(\w+)((?:[^\n\\]|\\\n)*)")
_LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)")
# Names of this project in code spans and in directives of the API pages.
_NAME = re.compile(r"(?:`|^::: )((?:dc_keras|tfrecords|pipelines)(?:\.\w+)+)", re.M)
_FILE = re.compile(r"`((?:dc_keras|tfrecords|pipelines|presets|studies)/[\w./-]+)`")
_ROOT = Path(__file__).parents[2]
_DOCUMENTS = (
    *("README.md", "CONTRIBUTING.md", "CHANGELOG.md"),
    *sorted(f"docs/{path.name}" for path in (_ROOT / "docs").glob("*.md")),
)
# What docs link to for copying: scripts of a queue and Kubernetes objects.
_CLUSTER_FILES = sorted((_ROOT / "docs" / "cluster").iterdir())


@pytest.fixture(params=_DOCUMENTS)
def document(request, root):
    return root / request.param


def _blocks(path, *languages):
    blocks = _BLOCK.findall(path.read_text("utf-8"))
    return [text for language, text in blocks if language in languages]


def _require_commands(text, flags_of, scripts):
    for script, arguments in _COMMAND.findall(text):
        assert script in scripts
        known = set(flags_of(script)) | {"flagfile"}
        known |= {f"no{name}" for name in known}
        assert set(re.findall(r"(?<!\S)--(\w+)", arguments)) <= known, script


def test_documented_commands_have_the_flags_that_they_show(document, flags_of, scripts):
    _require_commands("\n".join(_blocks(document, "bash")), flags_of, scripts)


@pytest.mark.parametrize("path", _CLUSTER_FILES, ids=lambda path: path.name)
def test_cluster_files_are_valid(path, flags_of, scripts):
    text = path.read_text("utf-8")
    if path.suffix == ".sh":
        subprocess.run(["bash", "-n", path], check=True)
        _require_commands(text, flags_of, scripts)
        return
    for item in yaml.safe_load_all(text):
        assert {"apiVersion", "kind", "metadata", "spec"} <= set(item)
        for container in item["spec"]["template"]["spec"]["containers"]:
            arguments = " ".join(container["args"])
            _require_commands(arguments, flags_of, scripts)


def _exists(root, name):
    """Returns whether a dotted name is a module, or stands in one."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        place = root.joinpath(*parts[:length])
        file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
        if file.exists():
            found = set(re.findall(r"\w+", file.read_text("utf-8")))
            return set(parts[length:]) <= found
    return False


def test_documented_names_exist(document, root):
    names = _NAME.findall(document.read_text("utf-8"))
    assert [name for name in names if not _exists(root, name)] == []


def test_documented_paths_exist(document, root):
    paths = _FILE.findall(document.read_text("utf-8"))
    assert [path for path in paths if not (root / path).exists()] == []


def test_documented_extras_exist(document, root):
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    named = re.findall(r"pip install[^\n]*?\[([\w,]+)\]", document.read_text("utf-8"))
    extras = {extra for names in named for extra in names.split(",")}
    assert extras <= set(project["optional-dependencies"])


def test_every_benchmark_is_told(root):
    told = (root / "docs" / "performance.md").read_text("utf-8")
    listed = "".join(line for line in told.splitlines() if line.startswith("| `"))
    scripts = [
        path.stem
        for path in (root / "benchmarks").glob("*.py")
        if '__name__ == "__main__"' in path.read_text("utf-8")
    ]
    assert scripts
    assert [name for name in scripts if f"`{name}`" not in listed] == []


def test_links_lead_to_files_and_headings(document):
    broken = []
    for target, heading in _LINK.findall(document.read_text("utf-8")):
        path = document.parent / target if target else document
        is_ours = ":" not in target
        if is_ours and (not path.exists() or (heading and heading not in _slugs(path))):
            broken.append((target, heading))
    assert broken == []


def _slugs(path):
    """Returns the anchors of a page's headings, as GitHub and MkDocs make them."""
    titles = re.findall(r"^#+ (.*)$", path.read_text("utf-8"), re.M)
    plain = (re.sub(r"[^\w\s-]", "", title.lower()) for title in titles)
    return {re.sub(r"\s", "-", title.strip()) for title in plain}


def test_python_in_documents_is_python(document):
    for text in _blocks(document, "python"):
        ast.parse(text)


def test_make_targets_in_documents_exist(document, root):
    makefile = (root / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([\w-]+):", makefile, re.M))
    named = set(
        re.findall(r"^make ([\w-]+)", "\n".join(_blocks(document, "bash")), re.M)
    )
    assert named <= targets


def test_readme_shows_the_whole_chain(root):
    shown = {script for script, _ in _COMMAND.findall((root / "README.md").read_text())}
    assert shown >= {
        "import_corpus",
        "write_tfrecords",
        "verify_tfrecords",
        "extract_features",
        "evaluate",
        "report",
        "train",
        "export_model",
        "predict",
    }


def test_the_demo_uses_flags_that_its_scripts_have(root, scripts, flags_of):
    source = (root / "pipelines" / "_cli" / "demo_steps.py").read_text("utf-8")
    known = set().union(*(flags_of(script) for script in scripts))
    used = set(re.findall(r"--(\w+)=", source))
    assert {"corpus", "records", "split"} <= used <= known


def test_the_documentation_stays_short(root):
    pages = [path.read_text("utf-8") for path in (root / "docs").glob("*.md")]
    # Words, not the bars of tables.
    count = sum(1 for page in pages for word in page.split() if re.search(r"\w", word))
    assert count < 12_000
