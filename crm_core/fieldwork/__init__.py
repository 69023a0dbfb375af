"""Field work: what happens at a visit - plans, evidence, parts, time, estimates and reports - around the work order."""
