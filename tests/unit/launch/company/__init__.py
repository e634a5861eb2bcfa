"""A family whose one stage trains nothing, in several processes, and fails as it is told to."""
