"""`show` commands of one edge, in the JSON shapes of FRR 8.4.4 (checked key by key against captures)."""
