"""Real data that ships inside Python packages, and the demo that runs the churn job over it."""
