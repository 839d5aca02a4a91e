"""The cases, a module per kernel; each has a list CASES. bench/README.md says how to add one."""
