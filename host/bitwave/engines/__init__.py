"""The implementations that must agree; each takes int8 windows and shows what it can of its inside."""
