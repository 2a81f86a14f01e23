"""Production entry: a notebook as a job with typed parameters, one record per run and a lease."""
