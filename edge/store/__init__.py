"""Where networks, plans and cubins lie, who may write them, and when they are made anew."""
