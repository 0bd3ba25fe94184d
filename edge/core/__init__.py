"""What every package shares: the packet that travels, the contracts, errors, names, the clock."""
