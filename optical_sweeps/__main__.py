"""`python -m optical_sweeps`."""

from optical_sweeps.cli import main

if __name__ == "__main__":
    main()
