"""Documents for people who are not at a screen: spreadsheets of every list, and work orders on paper."""
