"""Files that come in and go out: tables as CSV and XLSX, imports with a dry run, exports under other systems' names."""
