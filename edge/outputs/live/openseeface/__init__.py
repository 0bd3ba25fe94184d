"""OpenSeeFace's packets, and its table of them."""
