"""One module a section of the policy: reads its figures into the frozen type of its area."""
