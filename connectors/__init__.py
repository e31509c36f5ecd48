"""The outside world, one file a system; an SDK is imported in one file only, and lazily."""
