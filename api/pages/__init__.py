"""The pages: rendered on the server, with our own style sheet and one small module of script."""
