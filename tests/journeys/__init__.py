"""`python -m tests.journeys`: a crowd through the six journeys, with duplicates, reordering and kills."""
