"""Events to windowed features: what was asked (spec), what will come out (plan), how it is computed (kernel), where
(run)."""
