"""Where networks, plans and cubins lie, locks on them, and when they are rebuilt."""
