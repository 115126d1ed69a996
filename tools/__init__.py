"""What authors run; nothing of it is shipped."""
