"""What a person sees: the live terminal screen and the plain lines when there is no terminal."""
