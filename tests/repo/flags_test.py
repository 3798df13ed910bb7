"""No flag of any script takes an empty text, or a number that is none."""

import json

import pytest

# Tries every flag of a script with every value that no flag may have, in one process,
# and says which are taken.
_TRY = """
import importlib, json, sys
from absl import flags
script = sys.argv[1]
importlib.import_module(f"pipelines.{script}")
from pipelines._cli import app
FLAGS, taken, tried = flags.FLAGS, [], 0
numbers = ["nan", "inf", "-inf", "1e400", "", " "]
integers = [*numbers, "9" * 40, "-" + "9" * 40, "1e3", "0x"]
texts = ["", " ", "a\\0b"]
own = [
    flag
    for module, defined in FLAGS.flags_by_module_dict().items()
    if not module.startswith("absl")
    for flag in defined
]
for flag in own:
    kind = flag.parser.syntactic_help
    values = numbers if "number" in kind else integers if "integer" in kind else texts
    if flag.boolean or flag.flag_type() == "comma separated list of strings":
        continue
    for value in values:
        for other in own:
            if other.present:
                other.unparse()
                other.present = 0
        tried += 1
        try:
            flag.parse(value)
            flag.present = 1
        except (ValueError, flags.Error):
            continue
        if app.find_misuse([script]) is None:
            taken.append([flag.name, value])
print(json.dumps([tried, taken]))
"""


def test_no_flag_takes_what_is_no_value(script, run_python):
    done = run_python("-c", _TRY, script)
    assert done.returncode == 0, done.stderr
    tried, taken = json.loads(done.stdout.splitlines()[-1])
    assert tried > 0
    assert taken == []


@pytest.mark.parametrize(
    ("flag", "told"),
    [
        ("--corpus=", "--corpus must not be empty. Received: corpus="),
        ("--alpha=nan", "--alpha must be a finite number. Received: alpha=nan"),
    ],
)
def test_it_is_refused_in_one_line(run_python, flag, told):
    flags = [f"--{name}=x" for name in ("corpus", "output") if name not in flag]
    done = run_python("-m", "pipelines.build_graph", *flags, flag)
    assert done.returncode == 2
    assert done.stderr == f"build_graph: error: {told}\n"
