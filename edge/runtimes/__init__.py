"""What runs a network. A runner keeps edge.core.contracts.Runner's promises; choose.py picks one."""
