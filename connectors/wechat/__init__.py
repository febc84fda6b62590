"""What Official Accounts and WeChat Stores have in common: token desk, error codes, callbacks."""
