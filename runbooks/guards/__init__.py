"""Guards: what must stay so beside a step. Pure: facts in, a reading out; what cannot be seen is unknown."""
