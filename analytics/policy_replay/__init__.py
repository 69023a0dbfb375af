"""The past year under another policy: rates fitted to it, the real rules over them, many replicates at once."""
