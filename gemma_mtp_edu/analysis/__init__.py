"""What does it win? Profiles, replay, costs, and looks inside."""
