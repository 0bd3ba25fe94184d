"""What was found as SSI's streams and annotations."""
