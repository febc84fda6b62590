"""`python -m tests.journeys`: a crowd through the five journeys, with duplicates, reordering and kills."""
