"""A family that the drill can run a hundred times: a line through points, fitted by the library's own training loop."""
