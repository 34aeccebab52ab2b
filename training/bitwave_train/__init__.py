"""Training side of bitwave: everything that needs TensorFlow."""
