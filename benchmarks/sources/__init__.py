"""Find the sources of a benchmark in the data folders, import each one once, and open the imported tables."""
