"""What does a notebook call? Setup, language, checkers, prompts."""
