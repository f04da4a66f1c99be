"""`nfig-admin`: what operators do by hand."""
