"""What does it do here, and at scale?"""
