"""`connectra doctor`: is everything as it must be, and what is to be done where it is not."""
