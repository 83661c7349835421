"""Training of the Bloom model."""
