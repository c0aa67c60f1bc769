"""What lies outside: language models and look-ups behind small protocols."""
