"""What a person sees: tables and single cases in the terminal."""
