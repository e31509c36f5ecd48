"""The runbook language, the plan, the run engine and its journal."""
