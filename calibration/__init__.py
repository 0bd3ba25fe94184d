"""What is measured once: a head for the pose. Tools that write numbers for people to look at, never used by the tracker."""
