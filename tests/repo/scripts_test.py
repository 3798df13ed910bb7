import ast
import re

_HEAVY = {
    *("tensorflow", "keras", "keras_nlp", "polars", "pyarrow", "sklearn", "cv2"),
    *("TikTokApi", "playwright", "jinja2", "plotly"),
}


def _docstring(root, script):
    source = (root / "pipelines" / f"{script}.py").read_text("utf-8")
    return ast.get_docstring(ast.parse(source))


def test_scripts_are_found(scripts):
    assert {"import_corpus", "write_tfrecords", "extract_features"} <= set(scripts)


def test_help_explains_and_ends_as_absl_ends(script, root, run_python):
    done = run_python("-X", "importtime", "-m", f"pipelines.{script}", "--help")
    assert done.returncode in {0, 1}
    assert done.stdout.startswith(_docstring(root, script).splitlines()[0])


def test_help_imports_nothing_heavy(script, run_python):
    done = run_python("-X", "importtime", "-m", f"pipelines.{script}", "--help")
    # A line of -X importtime: "import time:   44 |   1044 |     package.module".
    imported = re.findall(r"^import time:.*\|\s*(\w+)", done.stderr, re.M)
    assert "absl" in imported
    assert not _HEAVY & set(imported)


def test_help_shows_every_flag_of_the_script(script, flags_of):
    hidden = [name for name, is_shown in flags_of(script).items() if not is_shown]
    assert not hidden, "a module that defines flags for scripts must disclaim them"


def test_unknown_flag_is_one_clear_line(script, run_python):
    done = run_python("-m", f"pipelines.{script}", "--no_such_flag=1")
    assert done.returncode in {1, 2}
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if "no_such_flag" in line]
    assert len(lines) == 1
    assert "Unknown command line flag 'no_such_flag'" in lines[0]


def test_docstring_shows_a_full_command_line(script, root, flags_of):
    docstring = _docstring(root, script)
    shown = re.findall(
        r"^ +(python -m pipelines\.\w+(?:[^\n\\]|\\\n)*)", docstring, re.M
    )
    assert shown, "the docstring must show a command, indented, on its own line"
    assert re.match(rf"python -m pipelines\.{script}\b", shown[0])
    assert not re.search(r"\S {4,}\S", shown[0]), 'r"""…""" keeps the line breaks'
    assert set(re.findall(r"--(\w+)", shown[0])) <= set(flags_of(script))
