"""Which networks there are, where they come from, what they are for."""
