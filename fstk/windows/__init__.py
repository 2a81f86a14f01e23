"""Events to windowed features: what was asked (spec), what comes out (plan), how (kernel) and where (run)."""
