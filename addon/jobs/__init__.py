"""Jobs, from the press of a button to their result.

1. ``reference.py``: the reference image, as a job sends it.
2. ``entry.py``, ``queue.py``: one job, and all of them, as Blender's main thread sees them.
3. ``queue_timer.py``: the one timer that polls the queue; it never waits.
4. ``request.py``, ``client.py``, ``client_thread.py``: requests and events cross to the I/O thread, which
   follows jobs through restarts of the server.
5. ``server_link.py``, ``server_process.py``: one connection to one server, and its process.
6. ``previews.py``: the preview images of a running job, as icons.

The client's side (4 and 5) imports no bpy, so that plain Python can test it.
"""
