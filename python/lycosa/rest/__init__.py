"""The HTTP surface: shape only."""
