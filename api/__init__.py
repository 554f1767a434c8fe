"""What people and programs speak to us over HTTP: the contract's paths, problems and pages."""
