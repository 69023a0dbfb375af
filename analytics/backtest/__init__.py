"""Back-tests: would the forecasts have been right? Walks over history files without looking ahead."""
