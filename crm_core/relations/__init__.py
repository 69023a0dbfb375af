"""Relations with customers: classes with reasons, care, complaints, surveys, loyalty and what came of it."""
