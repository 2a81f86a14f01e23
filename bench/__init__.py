"""How fast and how large: fstk beside DuckDB, Polars, native Spark SQL and delta-spark's documented start, as ratios.

``python -m bench`` measures each contender in a process of its own and prints one table; ``--quick`` does it on small
data, ``--json FILE`` keeps the figures.
"""
