"""What the system tests stand on: processes, subscribers, proxies."""
