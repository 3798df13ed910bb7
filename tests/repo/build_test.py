import importlib.util
import sys


def _build_text(root):
    spec = importlib.util.spec_from_file_location(
        "write_build", root / "tests" / "repo" / "write_build.py"
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module.build_text()


def test_build_lists_what_is_there(root):
    assert (root / "BUILD").read_text("utf-8") == _build_text(root), (
        "run `python tests/repo/write_build.py`"
    )
