"""Videos of a picture and a preset, made by a running `dragentity serve`."""
