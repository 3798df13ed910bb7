"""docs/tutorial.ipynb: it runs, and what it shows was made by running it."""

import ast
import os

import nbformat
import pytest
from nbclient import NotebookClient


@pytest.fixture
def notebook(root):
    return nbformat.read(root / "docs" / "tutorial.ipynb", as_version=4)


def _code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_the_tutorial_shows_results_and_no_warnings(notebook):
    outputs = [output for cell in _code(notebook) for output in cell.outputs]
    assert not [o for o in outputs if o.get("name") == "stderr"]
    kinds = {kind for output in outputs for kind in output.get("data", ())}
    assert {"image/png", "text/markdown"} <= kinds
    texts = [o["text"] for o in outputs if o.output_type == "stream"]
    assert len(texts) == 1
    for cell in _code(notebook):
        ast.parse(cell.source)


@pytest.mark.long
def test_the_tutorial_runs(notebook, root, tmp_path):
    stored = [len(cell.outputs) for cell in _code(notebook)]
    client = NotebookClient(
        notebook, timeout=1200, resources={"metadata": {"path": str(tmp_path)}}
    )
    # An exception in a cell is one here.
    client.execute(env={**os.environ, "PYTHONPATH": str(root)})
    shown = [
        len([o for o in cell.outputs if o.get("name") != "stderr"])
        for cell in _code(notebook)
    ]
    assert shown == stored
