"""What comes of a run: what a person sees (tables, cases, a page), what others read, what a run would cost."""
