"""Jobs, from the press of a button to their result.

1. ``reference.py``: the reference image, as a job sends it; ``recent_references.py``: those chosen last.
2. ``entry.py``, ``queue.py``: one job, and all of them, as Blender's main thread sees them.
3. ``submission.py``: reads the object for an entry, and makes the request that is sent.
4. ``pending.py``: the .blend remembers which job an object waits for.
5. ``queue_timer.py``: the one timer that polls the queue; it never waits.
6. ``request.py``, ``client.py``, ``client_thread.py``: requests and events cross to the I/O thread, which
   follows jobs through restarts of the server.
7. ``server_link.py``, ``server_process.py``: one connection to one server, and its process.
8. ``previews.py``: the preview images of a running job, as icons.
9. ``apply_result.py``: puts the result on the objects.

The client's side (6 and 7) imports no bpy, so that plain Python can test it.
"""
