"""How does it work? The loops, and what they are made of."""
