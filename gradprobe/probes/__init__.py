"""Probes: one file per quantity; each takes a trajectory and gives rows of the tidy table."""
