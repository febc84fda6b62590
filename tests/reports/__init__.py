"""Reports over a merchant's year: every one of them has to come to what the journal says."""
