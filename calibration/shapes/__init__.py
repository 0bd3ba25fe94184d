"""A rendered head whose expression is known exactly: films with their truth, and what the networks see of it."""
