"""An embedded model on scenes whose reasons are known: what the package is tried, shown and checked on."""
