"""One box: the processes of a whole pipeline under one supervisor, and what people do with it."""
