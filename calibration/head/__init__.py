"""The measured head: a mean of faces, made once."""
