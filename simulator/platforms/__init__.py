"""One module per platform; each shows the same world through its own wire contract."""
