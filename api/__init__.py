"""HTTP API and pages for people and other systems."""
