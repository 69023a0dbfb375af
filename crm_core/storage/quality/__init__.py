"""Quality: how good the forecasts were, and what the fleet's data say about demand, churn and integrity, in tables and in memory."""
