import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines._cli.quiet_tensorflow import pass_on

_ROOT = Path(__file__).parents[3]
_IMPORTED = b"\0TensorFlow is imported\n"
# Taken from TensorFlow 2.15 to 2.21, with a GPU and without.
_STARTUP = b"""\
WARNING: All log messages before absl::InitializeLog() is called are written to STDERR
I0000 00:00:1795935673.916349    7006 port.cc:153] oneDNN custom operations are on. You
2024-05-04 10:01:02.123456: I tensorflow/core/util/port.cc:113] oneDNN custom operations
I0000 00:00:1795935673.917357    7006 cudart_stub.cc:31] Could not find cuda drivers
2024-05-04 10:01:02.123456: E external/local_xla/xla/stream_executor/cuda/cuda_dnn.cc:9261] Unable to register cuDNN factory: Attempting to register factory for plugin cuDNN
E0000 00:00:1795935673.917357    7006 cuda_fft.cc:477] Unable to register cuFFT factory: Attempting
E0000 00:00:1795935673.917357    7006 cuda_blas.cc:1418] Unable to register cuBLAS factory: Attempting
W0000 00:00:1795935673.917357    7006 computation_placer.cc:177] computation placer already registered.
I0000 00:00:1795935685.207098    7075 cpu_feature_guard.cc:227] This TensorFlow binary is
To enable the following instructions: AVX2 FMA, in other operations, rebuild TensorFlow
E0000 00:00:1795935690.635844    7075 cuda_platform.cc:52] failed call to cuInit: INTERNAL: CUDA error: Failed call to cuInit: UNKNOWN ERROR (303)
2024-05-04 10:01:02.1: E xla/cuda_driver.cc:282] failed call to cuInit: CUDA_ERROR_NO_DEVICE: no CUDA-capable device is detected
W0000 00:00:1795935690.635844    7075 gpu_device.cc:2344] Cannot dlopen some GPU libraries.
Skipping registering GPU devices...
E0000 00:00:1795937096.127727    2785 util.cc:131] oneDNN supports DT_INT64 only on platforms with AVX-512. Falling back
"""
_OTHER = b"""\
E0000 00:00:1795935690.635844    7075 cuda_platform.cc:52] failed call to cuInit: CUDA_ERROR_SYSTEM_DRIVER_MISMATCH: system has unsupported display driver
2024-05-04 10:01:02.1: E tensorflow/core/common_runtime/bfc_allocator.cc:1] out of memory
F0000 00:00:1795935690.635844    7075 cpu_feature_guard.cc:54] The TensorFlow library was compiled to use AVX
Could not open /dev/nvidia0
WARNING: the disk is full
I am no line of a log
"""


def _passed_on(text):
    stderr = io.BytesIO()
    pass_on(io.BytesIO(text), stderr)
    return stderr.getvalue()


def test_startup_messages_are_dropped_and_all_else_is_passed_on():
    lines = zip(_STARTUP.splitlines(True), _OTHER.splitlines(True), strict=False)
    mixed = b"".join(line for pair in lines for line in pair)
    assert set(mixed.splitlines()) >= set(_OTHER.splitlines())
    assert _passed_on(mixed + _IMPORTED + _STARTUP) == _OTHER


def test_an_import_that_failed_shows_all_messages():
    passed_on = _passed_on(_OTHER + _STARTUP)
    assert passed_on == _OTHER + _STARTUP


def _run(code, directory, **environment):
    """Runs Python code in a separate process, which starts like a script."""
    environ = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    return subprocess.run(
        [sys.executable, "-c", "import pipelines._cli.app\n" + code],
        cwd=_ROOT,
        env={**environ, "PYTHONPATH": f"{directory}:{_ROOT}", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


# A product in float16 makes oneDNN complain where the processor has none.
_WORK = """
import tensorflow as tf
half = tf.ones((2, 2), tf.float16)
tf.linalg.matmul(half, half)
"""
_TAKEN_PORT = """
import socket
with socket.create_server(("127.0.0.1", 0)) as taken:
    port = taken.getsockname()[1]
    try:
        tf.distribute.Server({"w": [f"127.0.0.1:{port}"]}, job_name="w", task_index=0)
    except tf.errors.UnknownError:
        pass
"""


@pytest.mark.long  # the next test does nearly the same
def test_tensorflow_starts_without_a_word(tmp_path):
    done = _run(_WORK, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_an_error_that_tensorflow_logs_is_shown(tmp_path):
    done = _run(_WORK + _TAKEN_PORT, tmp_path)
    assert done.returncode == 0
    assert "Could not start gRPC server" in done.stderr
    assert "oneDNN" not in done.stderr


@pytest.mark.long
def test_a_level_that_the_environment_sets_shows_all(tmp_path):
    done = _run("import tensorflow", tmp_path, TF_CPP_MIN_LOG_LEVEL="0")
    assert done.returncode == 0
    assert "All log messages before absl::InitializeLog()" in done.stderr


_KERAS_LATER = """
import gc, sys
import tensorflow as tf
assert not {"keras", "sklearn", "matplotlib"} & set(sys.modules)
assert gc.isenabled() and gc.get_freeze_count()
assert tf.keras.layers.Dense(1)(tf.ones((1, 2))).shape == (1, 1)
from tensorflow.keras import optimizers
import keras
assert keras.optimizers.Adam is optimizers.Adam
"""


def test_keras_is_imported_where_it_is_used(tmp_path):
    done = _run(_KERAS_LATER, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


# What stands in for TensorFlow: its first message, written by C as TensorFlow does.
_STAND_IN = """
import ctypes, os
from pathlib import Path
library = ctypes.CDLL(None)
stderr = ctypes.c_void_p.in_dll(library, "stderr")
library.fputs(b"I0000 00:00:1795935673.9 7006 port.cc:153] oneDNN is on\\n", stderr)
"""


@pytest.fixture
def stand_in(tmp_path):
    def write(end):
        (tmp_path / "tensorflow.py").write_text(_STAND_IN + end, "utf-8")
        return tmp_path

    return write


def test_a_stand_in_that_imports_is_quiet(stand_in):
    done = _run("import tensorflow", stand_in(""))
    assert (done.returncode, done.stderr) == (0, "")


def test_an_import_error_comes_with_all_messages(stand_in):
    done = _run("import tensorflow", stand_in("raise ImportError('no such library')"))
    assert done.returncode == 1
    assert "oneDNN is on" in done.stderr
    assert "ImportError: no such library" in done.stderr


def test_an_abort_comes_with_all_messages(stand_in):
    fatal = "F0000 00:00:1 7006 guard.cc:54] compiled to use AVX"
    end = f"library.fputs(b'{fatal}\\n', stderr)\nos.abort()"
    # The filter ends after the process whose messages it reads, and so does the pipe.
    done = _run("import tensorflow", stand_in(end))
    assert done.returncode == -signal.SIGABRT
    assert fatal in done.stderr
    assert "oneDNN is on" in done.stderr


def test_the_exit_of_a_process_waits_for_its_messages(stand_in):
    end = "library.fputs(b'the last words\\n', stderr)"
    done = _run("import tensorflow", stand_in(end))
    assert done.stderr == "the last words\n"
