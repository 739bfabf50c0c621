"""Networks for sound, their training views, and the front end that both train behind."""
