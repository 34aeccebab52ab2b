"""Recording off a link: takes, continuous recordings and guided sessions, so that nothing recorded is lost."""
