"""The vocabulary of Framegate: pure values and rules, no input or output."""
