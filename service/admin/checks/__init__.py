"""`nfig-admin check`: whether a configuration fits what is there."""
