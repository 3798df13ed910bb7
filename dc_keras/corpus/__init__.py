"""What a post is: canonical records, the corpus on disk, Studies. No TensorFlow."""
