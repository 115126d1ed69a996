"""What do I load? Pairs, and whether they fit."""
