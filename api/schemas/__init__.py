"""The bodies that travel over the HTTP API, one module a subject."""
