"""The independent oracle of settlement: another program, which comes to the same cents."""
