"""How the estimate's figures were found: the fit to published times, and what the host takes. No run needs it."""
