"""The HTTP side, which people and programs call: the contract's paths, problems and pages."""
