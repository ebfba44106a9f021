"""What people build by hand around insightface: the service that ours is measured against."""
