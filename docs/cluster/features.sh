#!/bin/bash
# SLURM: feature records by an array of eight jobs. Submit it with
# --dependency=afterok:ID, where ID is the array of frames.sh, whose manifest it reads.
#SBATCH --array=0-7
#SBATCH --gpus=1
srun python -m pipelines.extract_features --records=run/frames --output=run/features \
    --vision=VGG16 --shard_index="$SLURM_ARRAY_TASK_ID" --shard_count=8
