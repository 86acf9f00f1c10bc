"""What a test suite is given: tests that run in a world, scenarios played inside them, and cases that explore within
one item's budget. Knows no test runner: ``pytest_plugin`` is the only module that does."""
