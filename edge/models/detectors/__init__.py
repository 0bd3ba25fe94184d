"""One file a detector: which crops it takes and what its tensors mean."""
