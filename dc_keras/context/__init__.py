"""Context features: statistics of a user's and a challenge's posts, in TensorFlow."""
