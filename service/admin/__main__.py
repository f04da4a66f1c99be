"""`python -m service.admin` is `nfig-admin`."""

from service.admin.cli import app

if __name__ == "__main__":
    app()
