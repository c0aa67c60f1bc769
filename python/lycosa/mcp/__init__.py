"""The Model Context Protocol: the services as tools, resources and prompts. Shape only."""
