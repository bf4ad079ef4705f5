"""Images of partitions, final states and measures, for people to look at."""
