"""The `lycosa` command: a surface over the services, and the supervisor of the pair."""
