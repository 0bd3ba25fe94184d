"""A Jetson board's readings of its clocks, temperatures, power and memory."""
