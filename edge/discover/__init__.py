"""DISCOVER's interface: a server that takes its requests, and a module for its own server."""
