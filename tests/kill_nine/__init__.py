"""A site and a collector as processes of their own, to be killed at random moments."""
