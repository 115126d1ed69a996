"""How is it drawn? Views, figures, widgets."""
