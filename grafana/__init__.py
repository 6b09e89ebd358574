"""What is seen: dashboards over the history vocabulary of the hub."""
