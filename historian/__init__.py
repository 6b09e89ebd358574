"""What was: recorder, embedded store, history queries."""
