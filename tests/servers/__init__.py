"""Real servers for development and tests, started without Docker and, where that is possible, without root."""
