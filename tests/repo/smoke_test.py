"""What must work on every supported Python: `make smoke` runs this file alone."""

import re

import polars as pl
import pytest

pytestmark = pytest.mark.long

_PACKAGES = ("dc_keras", "tfrecords", "pipelines")
# Imports the modules that it is given, and carries out every import in them, also those
# inside functions. A process has one set of flags, and each script defines its own.
_IMPORT_ALL = """
import ast, importlib, pathlib, sys
from absl import flags

known = set(flags.FLAGS)
for name in sys.argv[1:]:
    module = importlib.import_module(name)
    text = pathlib.Path(module.__file__).read_text("utf-8")
    for node in ast.walk(ast.parse(text)):
        is_future = isinstance(node, ast.ImportFrom) and node.module == "__future__"
        if isinstance(node, ast.Import | ast.ImportFrom) and not is_future:
            exec(ast.unparse(node))
    flags.FLAGS.remove_flag_values([f for f in flags.FLAGS if f not in known])
"""
_NOISE = re.compile(
    r"absl::InitializeLog|oneDNN|cuda|retracing|computation_placer|cpu_feature_guard"
    r"|pkg_resources|[IW]0000 00:00"
)


def _modules(root):
    for package in _PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            yield ".".join(part for part in parts if part != "__init__")


def test_every_import_of_every_module_is_installed(root, run_python):
    modules = list(_modules(root))
    assert len(modules) > 100
    done = run_python("-c", _IMPORT_ALL, *modules)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def run(run_python):
    """Runs a script in a process of its own; nothing of TensorFlow's start shows."""

    def run(name, *flags):
        done = run_python("-m", f"pipelines.{name}", *flags)
        assert done.returncode == 0, (name, done.stderr)
        assert _NOISE.findall(done.stdout + done.stderr) == [], (name, done.stderr)

    return run


def test_a_chain_from_a_world_to_answers_through_a_hub_bert(run, tiny_preset, tmp_path):
    corpus, study = (
        f"--corpus={tmp_path}/corpus",
        f"--study={tmp_path}/world/study.toml",
    )
    run("simulate", f"--output={tmp_path}/world", "--users=40", "--challenges=3")
    run(
        "import_corpus",
        f"--input={tmp_path}/world/items.ndjson",
        f"--media_root={tmp_path}/world/media",
        f"--key_file={tmp_path}/pseudonym.key",
        corpus,
    )
    run(
        "write_tfrecords",
        corpus,
        f"--output={tmp_path}/frames",
        "--num_frames=2",
        "--image_size=32",
        "--workers=2",
    )
    run(
        "export_text_encoder",
        f"--text=keras_nlp:{tiny_preset}",
        f"--output={tmp_path}/bert",
    )
    run(
        "extract_features",
        f"--records={tmp_path}/frames",
        f"--output={tmp_path}/features",
        "--vision=VGG16",
        "--vision_weights=random",
        f"--text=hub:{tmp_path}/bert",
        study,
    )
    run(
        "train",
        "--task=participation",
        corpus,
        study,
        f"--features={tmp_path}/features",
        f"--output={tmp_path}/model",
        "--epochs=1",
    )
    run("export_model", f"--model={tmp_path}/model", f"--output={tmp_path}/export")
    run(
        "predict",
        f"--bundle={tmp_path}/export",
        corpus,
        f"--output={tmp_path}/predictions.csv",
    )
    predictions = pl.read_csv(tmp_path / "predictions.csv")
    assert predictions["challenge"].n_unique() == 3
    assert predictions["probability"].is_between(0, 1).all()
