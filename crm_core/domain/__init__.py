"""The field's words as frozen types; no input or output happens here."""
