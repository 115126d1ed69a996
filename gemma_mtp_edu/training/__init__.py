"""How is a drafter made?"""
