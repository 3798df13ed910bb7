import ast
import re
import tomllib

import pytest

_DOCUMENTS = (
    "README.md",
    "CONTRIBUTING.md",
    "docs/audit.md",
    "docs/collect.md",
    "docs/data.md",
    "docs/design.md",
    "docs/distributed.md",
    "docs/evaluation.md",
    "docs/paper.md",
    "docs/privacy.md",
    "docs/reliability.md",
    "docs/results.md",
    "docs/performance.md",
    "docs/serving.md",
    "docs/social.md",
    "docs/sources.md",
)
# A fenced block: its language and its lines.
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
_COMMAND = re.compile(r"python -m pipelines\.(\w+)((?:[^\n\\]|\\\n)*)")
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


@pytest.fixture(params=_DOCUMENTS)
def document(request, root):
    return root / request.param


def _blocks(path, *languages):
    blocks = _BLOCK.findall(path.read_text("utf-8"))
    return [text for language, text in blocks if language in languages]


def test_documented_commands_have_the_flags_that_they_show(document, flags_of, scripts):
    for script, arguments in _COMMAND.findall("\n".join(_blocks(document, "bash"))):
        assert script in scripts
        known = set(flags_of(script)) | {"flagfile"}
        known |= {f"no{name}" for name in known}
        assert set(re.findall(r"(?<!\S)--(\w+)", arguments)) <= known, script


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


def test_documented_files_exist(document):
    targets = [t for t in _LINK.findall(document.read_text("utf-8")) if ":" not in t]
    assert [t for t in targets if not (document.parent / t).exists()] == []


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
    source = (root / "pipelines" / "demo.py").read_text("utf-8")
    known = set().union(*(flags_of(script) for script in scripts))
    used = set(re.findall(r'"--(\w+)=', source))
    assert {"corpus", "records", "split"} <= used <= known
