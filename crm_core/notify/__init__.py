"""The ways out: mail, SMS and WeChat over apprise addresses, and signed calls to programs. Only here drivers are used."""
