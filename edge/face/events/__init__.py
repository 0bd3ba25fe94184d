"""What began, and what is over: blinks, closed eyes, drowsiness, yawns, nods, where somebody looks, who is there."""
