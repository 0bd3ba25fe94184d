"""The head of our own measuring: a mean of faces, made once."""
