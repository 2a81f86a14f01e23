"""The part of Spark SQL that is evaluated on Arrow, without a JVM."""
