#!/bin/bash
# SLURM: 64 shards of frame records by an array of eight jobs. Keep the size of the array
# equal to --shard_count.
#SBATCH --array=0-7
#SBATCH --cpus-per-task=4
srun python -m pipelines.write_tfrecords --corpus=run/corpus --output=run/frames \
    --num_shards=64 --workers="$SLURM_CPUS_PER_TASK" \
    --shard_index="$SLURM_ARRAY_TASK_ID" --shard_count=8
