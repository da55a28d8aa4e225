"""The maxsim family."""
