"""What a Jetson board tells of its clocks, temperatures, power and memory."""
