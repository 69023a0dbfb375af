"""Field work: preventive maintenance, what a visit leaves behind as evidence, repair reports and estimates, in tables and in memory."""
