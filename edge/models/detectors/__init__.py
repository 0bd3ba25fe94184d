"""One file a detector: which crops it wants and what its tensors mean."""
