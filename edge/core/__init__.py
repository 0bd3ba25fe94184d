"""What every room shares: the packet that travels, the contracts, the clock."""
