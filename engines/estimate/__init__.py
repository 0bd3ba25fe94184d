"""What a Jetson Nano would need, from the graphs and a frozen table. Nothing is measured."""
