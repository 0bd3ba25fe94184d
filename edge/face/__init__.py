"""What a face does: pure functions of points and pose."""
