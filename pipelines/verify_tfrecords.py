"""Verifies a directory of frame or feature records by reading all of its bytes.

    python -m pipelines.verify_tfrecords --records=run/frames

Prints the faults with their shard and record. The exit code is 1 if there are any.
"""

from __future__ import annotations

from pathlib import Path

from absl import flags

from pipelines._cli import app

_RECORDS = flags.DEFINE_string(
    "records", None, "Directory of frame or feature records.", required=True
)
_MAX_FAULTS = 20


def main() -> int:
    """Prints the faults and their number; returns the exit code."""
    from tfrecords.verify import verify_records

    report = verify_records(Path(_RECORDS.value))
    for fault in report.faults[:_MAX_FAULTS]:
        app.say(fault)
    if len(report.faults) > _MAX_FAULTS:
        app.say(f"… and {len(report.faults) - _MAX_FAULTS} more")
    num_faults = len(report.faults) if report.faults else "no"
    app.say(
        f"{num_faults} faults in {report.num_records} "
        f"{report.kind.removesuffix('s')} records with {report.num_frames} frames, "
        f"in {report.num_shards} shards"
    )
    return 1 if report.faults else 0


if __name__ == "__main__":
    app.run(main)
