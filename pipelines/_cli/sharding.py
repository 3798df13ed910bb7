"""Flags that distribute the work of a script over machines and processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from absl import flags

from dc_keras.errors import DataError
from pipelines._cli import app

if TYPE_CHECKING:
    from tfrecords.ray_runner import RayCluster
    from tfrecords.shard_runs import Part, ShardRun

# Makes them flags of the script that defines them, so that its --help lists them.
flags.disclaim_key_flags()


def define(*, gpus: bool = False) -> None:
    """Defines the flags of a script that writes shards of records."""
    flags.DEFINE_bool(
        "overwrite", False, "Replaces records with other settings in --output."
    )
    flags.DEFINE_integer(
        "shard_index",
        0,
        "Index of this run among --shard_count runs.",
        lower_bound=0,
    )
    flags.DEFINE_integer(
        "shard_count",
        1,
        "Number of runs over which the shards are distributed.",
        lower_bound=1,
    )
    define_runner("shard", gpus=gpus)


def define_runner(unit: str, *, gpus: bool = False) -> None:
    """Defines --runner and the flags of Ray."""
    flags.DEFINE_enum(
        "runner", "local", ["local", "ray"], f"Processes each {unit} locally or on Ray."
    )
    flags.DEFINE_string(
        "ray_address",
        None,
        "Head node of a running Ray cluster, HOST:PORT, or auto for the cluster of "
        "this machine. Default: starts Ray on this machine for the run.",
    )
    flags.DEFINE_float(
        "ray_cpus",
        1.0,
        f"Number of CPUs that Ray reserves per {unit}.",
        lower_bound=0.01,
    )
    if gpus:
        flags.DEFINE_float(
            "ray_gpus",
            0.0,
            f"Number of GPUs that Ray reserves per {unit}.",
            lower_bound=0.0,
        )


def part() -> Part:
    """Returns the part of the shards that this run processes."""
    from tfrecords.shard_runs import Part

    return Part(value("shard_index"), value("shard_count"))


def cluster(num_cpus: int | None = None) -> RayCluster | None:
    """Returns the cluster of --runner=ray; None for --runner=local."""
    given = [
        name
        for name in ("ray_address", "ray_cpus", "ray_gpus")
        if name in flags.FLAGS and flags.FLAGS[name].present
    ]
    if value("runner") == "local":
        if given:
            raise DataError(
                f"--{given[0]} needs --runner=ray. Received: runner=local, "
                f"{given[0]}={value(given[0])}"
            )
        return None
    from tfrecords.ray_runner import RayCluster

    return RayCluster(
        address=value("ray_address"),
        num_cpus=num_cpus,
        unit_cpus=value("ray_cpus"),
        unit_gpus=value("ray_gpus") if "ray_gpus" in flags.FLAGS else 0.0,
    )


def report(run: ShardRun, output: str) -> None:
    """Prints what a run wrote."""
    num_records = sum(entry.num_records for entry in run.entries)
    app.say(
        f"{num_records} records in {len(run.entries)} shards "
        f"({run.num_resumed} done before): {output}"
    )
    if run.manifest is None:
        app.say("the run that completes the last shard writes manifest.json")


def value(name: str) -> Any:
    """Returns the value of a flag."""
    return flags.FLAGS[name].value
